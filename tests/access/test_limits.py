"""
Limits: which request counts for what, and for whom.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from doubles import MovableClock
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.access.limits import Limits, limited_as, network_of
from fhir_gateway.access.policy import POLICY, Interaction
from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.model.errors import LimitReached
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.stores.redis_client import RedisClient
from fhir_gateway.stores.request_counts import RedisRequestCounts

from .conftest import StoppableRedis

NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
SEARCH = Interaction("Slot", "search-type")
BOOK = Interaction("Appointment", "create")
READ = Interaction("Appointment", "read")
FIND = Interaction("Appointment", "$find")
CLIENT = "system\nhttps://idp.example.org\nregion-norr"
ADDRESS = "192.0.2.7"
FEW = ClientLimits(searches=6, region_calls=4, failed_looks=3, request_keys=2)

RESIDENT = Principal(
    role=Role.RESIDENT,
    issuer="https://idp.example.org",
    client="portal",
    user="anna",
    number=PersonalIdentityNumber("191212121212"),
)


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture(name="limits")
def _limits(counts: RedisRequestCounts, clock: MovableClock) -> Iterator[Limits]:
    limits = Limits(FEW, counts, secret="ab" * 32, clock=clock)
    yield limits
    limits.close()


def passed(ask: Callable[[], None], times: int = 20) -> int:
    """Ask so often; return how often no limit was reached."""
    count = 0
    for _ in range(times):
        try:
            ask()
        except LimitReached:
            continue
        count += 1
    return count


@pytest.mark.parametrize(
    ("interaction", "count"),
    [
        (SEARCH, 6),
        (FIND, 6),
        (Interaction("Slot", "read"), 6),
        (Interaction("Location", "search-type"), 6),
        (Interaction("AuditEvent", "search-type"), 6),
        (Interaction("Appointment", "$validate"), 6),
        (BOOK, 4),
        (READ, 4),
        (Interaction("Appointment", "search-type"), 4),
        (Interaction("Appointment", "update"), 4),
        (Interaction("Appointment", "patch"), 4),
        (Interaction("Appointment", "$hold"), 4),
        (Interaction("Appointment", "$book"), 4),
        (Interaction("Appointment", "$cancel"), 4),
        (Interaction("Appointment", "$reschedule"), 4),
    ],
)
def test_each_interaction_has_its_limit(
    limits: Limits, interaction: Interaction, count: int
) -> None:
    """What may ask a region counts as such, all else as a search."""
    assert passed(lambda: limits.admit(CLIENT, interaction)) == count


def test_every_interaction_of_the_policy_is_limited(limits: Limits) -> None:
    """No row of the policy names an interaction without a limit."""
    for interaction in {each for row in POLICY for each in row.interactions}:
        client = f"{CLIENT} {interaction}"
        assert passed(lambda: limits.admit(client, interaction)) in (4, 6)  # noqa: B023 - called at once


def test_searches_leave_bookings_alone(limits: Limits) -> None:
    """A client that has used up its searches can book."""
    passed(lambda: limits.admit(CLIENT, SEARCH))

    limits.admit(CLIENT, BOOK)


def test_request_keys_have_a_limit(limits: Limits) -> None:
    """After two keys a third is refused; a request without one is not."""
    assert passed(lambda: limits.admit(CLIENT, BOOK, has_key=True), 3) == 2

    limits.admit(CLIENT, BOOK)


def test_failed_looks_end_all_looks(limits: Limits) -> None:
    """After three ids that do not exist, a client may name no id, also not its own."""
    for _ in range(3):
        limits.admit(CLIENT, READ, names_one=True)
        limits.count_failed_look(CLIENT)

    with pytest.raises(LimitReached):
        limits.admit(CLIENT, READ, names_one=True)
    limits.admit(CLIENT, BOOK)


def test_looks_that_find_are_not_failed_ones(
    limits: Limits, clock: MovableClock
) -> None:
    """A client may name as many ids as it likes that exist for it."""
    for _ in range(10):
        clock.forward(minutes=1)
        limits.admit(CLIENT, READ, names_one=True)


def test_failed_looks_last_an_hour(limits: Limits, clock: MovableClock) -> None:
    """A client with too many failed looks may look again in the next hour."""
    passed(lambda: limits.count_failed_look(CLIENT))
    clock.forward(minutes=59, seconds=59)
    with pytest.raises(LimitReached):
        limits.admit(CLIENT, READ, names_one=True)
    clock.forward(seconds=1)

    limits.admit(CLIENT, READ, names_one=True)


def test_refused_tokens_have_a_limit(limits: Limits) -> None:
    """After three refused tokens of one address the next one is a limit's matter."""
    assert passed(lambda: limits.count_refused_token(ADDRESS)) == 3
    assert passed(lambda: limits.count_refused_token("192.0.2.8")) == 3


def test_a_live_search_counts_each_call(limits: Limits) -> None:
    """Calls that a search causes count as region calls, all at once."""
    limits.count_region_calls(CLIENT, 3)

    with pytest.raises(LimitReached):
        limits.count_region_calls(CLIENT, 2)


def test_a_demo_has_no_rates(limits: Limits) -> None:
    """An open demo is limited in nothing that is counted by the minute or the hour."""
    client = limited_as(Principal(role=Role.DEMO), ADDRESS)

    assert client is None
    for interaction in (SEARCH, BOOK):
        assert passed(lambda: limits.admit(client, interaction)) == 20  # noqa: B023 - called at once


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("192.0.2.7, 192.0.2.8", "unknown"),
        ("\x00", "unknown"),
    ],
)
def test_an_address_counts_by_its_network(address: str, network: str) -> None:
    """An address of IPv4 counts alone, one of IPv6 with its /64."""
    assert network_of(address) == network


@given(st.text())
def test_any_address_has_a_network(address: str) -> None:
    """No text instead of an address is a failure."""
    assert network_of(address)


def test_requests_without_a_token_count_by_address() -> None:
    """Who has no token shares limits with their network."""
    nobody = Principal(role=Role.ANYBODY)

    assert limited_as(nobody, "2001:db8::1") == limited_as(nobody, "2001:db8::2")
    assert limited_as(nobody, "192.0.2.7") != limited_as(nobody, "192.0.2.8")


def test_residents_of_one_program_do_not_share() -> None:
    """One resident cannot use up what another may do with the same program."""
    other = replace(RESIDENT, user="berta")

    assert limited_as(RESIDENT, ADDRESS) != limited_as(other, ADDRESS)
    assert limited_as(RESIDENT, ADDRESS) == limited_as(RESIDENT, "192.0.2.8")


def test_a_system_is_one_client() -> None:
    """All requests of a regional system share limits."""
    system = Principal(role=Role.SYSTEM, issuer="i", client="norr", user="a")

    assert limited_as(system, ADDRESS) == limited_as(replace(system, user="b"), "")
    assert limited_as(system, "") != limited_as(replace(system, client="syd"), "")


def test_no_name_of_a_client_is_an_address() -> None:
    """A client cannot take a name that shares limits with an address."""
    named = Principal(role=Role.SYSTEM, issuer="address", client=ADDRESS)

    assert limited_as(named, "") != limited_as(Principal(role=Role.ANYBODY), ADDRESS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x" * 1_000_000, id="a megabyte"),
        pytest.param("\ud800", id="half a character"),
        pytest.param("\x00\r\n", id="controls"),
        pytest.param("", id="empty"),
        pytest.param("{a}:*?[", id="signs of Redis"),
    ],
)
def test_a_hostile_name_is_limited(limits: Limits, name: str) -> None:
    """A client's name may be any text."""
    client = limited_as(Principal(role=Role.SYSTEM, client=name), "")

    assert passed(lambda: limits.admit(client, BOOK)) == 4


def test_redis_learns_no_name(limits: Limits, redis: StoppableRedis) -> None:
    """Keys in Redis hold neither a personal number nor a name nor an address."""
    limits.admit(limited_as(RESIDENT, ADDRESS), BOOK, has_key=True)
    limits.admit("197501019801", READ, names_one=True)
    limits.count_refused_token(ADDRESS)

    client = RedisClient(redis.url)
    with client.asking() as asked:
        keys = [key.decode() for key in asked.keys("*")]
        ends = [asked.ttl(key) for key in keys]
    client.close()
    assert sorted(key.rsplit(":", 2)[0] for key in keys) == [
        "limit:failed-looks",
        "limit:failed-looks",
        "limit:region-calls",
        "limit:region-calls",
        "limit:request-keys",
    ]
    for text in ("anna", "portal", "idp", "19750101", "19121212", ADDRESS):
        assert text not in "".join(keys)
    assert all(0 < end <= 3600 for end in ends)


def test_another_secret_is_another_name(counts: RedisRequestCounts) -> None:
    """Who does not know the key cannot look a client's count up."""
    limits = [Limits(FEW, counts, secret=each * 32) for each in ("ab", "cd")]

    assert limits[0]._hashed("x") != limits[1]._hashed("x")
    for each in limits:
        each.close()
