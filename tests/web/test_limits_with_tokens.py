"""
Limits of a gateway that asks for tokens: settings reach the client's answer.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.sandbox_sources import write_log_service
from fhir_gateway.web.searching import cursor_text
from web.guarded import Guarded, issuers_file, served_keys
from web.running import OtherPrograms, fill, own_regions

from .bodies import FHIR_JSON, appointment, free_slots

NewGuarded = Callable[..., Guarded]
NOBODYS = "11111111-1111-4111-8111-11111111111"

pytestmark = pytest.mark.flow


@pytest.fixture(name="limited")
def _limited(other_programs: OtherPrograms, tmp_path: Path) -> Iterator[NewGuarded]:
    """Give what starts a gateway with such limits."""
    with ExitStack() as stack:
        enter: Callable[[AbstractContextManager[Any]], Any] = stack.enter_context

        def limited(**numbers: int) -> Guarded:
            sandbox, sources = enter(own_regions(tmp_path))
            made = enter(
                other_programs.start(
                    sources=sources,
                    issuers=issuers_file(tmp_path, enter(served_keys())),
                    log_service=write_log_service(tmp_path, sandbox.server.url),
                    public_search=True,
                    limits=ClientLimits(**numbers),
                )
            )
            fill(made)
            assert made.identity is not None
            made.identity.start()
            stack.callback(made.identity.stop)
            return Guarded(made, sandbox)

        yield limited


def send(client: FlaskClient, path: str, slot: str, number: str) -> Any:
    """Hold or book a slot for a person."""
    return client.post(
        f"/fhir/Appointment{path}",
        json=appointment(slot, number),
        content_type=FHIR_JSON,
    )


def slots_of(client: FlaskClient) -> list[str]:
    """Return the ids of free slots of the region norr."""
    found = free_slots(client, "norr")
    return [next(found)["id"] for _ in range(3)]


def test_anybody_searches_so_often(limited: NewGuarded) -> None:
    """Who has no token may search so often a minute from one address."""
    anybody = limited(searches=2).client()
    answers = [anybody.get("/fhir/Slot?_count=1") for _ in range(6)]

    # One minute may begin in between, and then three of them are in one.
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(each for each in answers if each.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_a_system_holds_so_many_times(limited: NewGuarded, numbers: list[str]) -> None:
    """A system with invented residents cannot hold more than one client may."""
    system = limited(holds=2).client("system")
    slots = slots_of(system)
    held = [send(system, "/$hold", slots[i], numbers[i]) for i in range(2)]
    assert [each.status_code for each in held] == [201, 201]

    refused = send(system, "/$hold", slots[2], numbers[2])
    assert_outcome(
        refused,
        429,
        issue(
            "throttled",
            "This client holds 2 times already: book or release one of them, or wait"
            " as long as Retry-After says.",
        ),
    )
    assert 200 < int(refused.headers["Retry-After"]) <= 300


def test_a_resident_has_so_many_bookings_ahead(
    limited: NewGuarded, numbers: list[str]
) -> None:
    """A resident books as many times as allowed; another resident is not affected."""
    guarded = limited(resident_bookings=1)
    mine = guarded.client("resident", numbers[0])
    slots = slots_of(mine)
    assert send(mine, "", slots[0], numbers[0]).status_code == 201

    refused = send(mine, "", slots[1], numbers[0])
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == str(24 * 60 * 60)
    theirs = guarded.client("resident", numbers[1])
    assert send(theirs, "", slots[1], numbers[1]).status_code == 201


def test_a_resident_guesses_so_often(limited: NewGuarded, numbers: list[str]) -> None:
    """After too many ids that do not exist, a resident is refused their own, too."""
    guarded = limited(failed_looks=3)
    mine = guarded.client("resident", numbers[0])
    slot = slots_of(mine)[0]
    own = send(mine, "", slot, numbers[0]).json["id"]
    seen = [mine.get(f"/fhir/Appointment/{NOBODYS}{i}").status_code for i in range(5)]
    assert seen == [404, 404, 404, 429, 429]

    assert mine.get(f"/fhir/Appointment/{own}").status_code == 429
    theirs = guarded.client("resident", numbers[1])
    assert theirs.get(f"/fhir/Appointment/{own}").status_code == 404


def test_ids_in_a_search_count_as_looks(limited: NewGuarded, number: str) -> None:
    """Each id of a search that does not exist counts like a read of it."""
    mine = limited(failed_looks=3).client("resident", number)
    few, many = (",".join(f"{NOBODYS}{i}" for i in range(count)) for count in (2, 4))

    seen = [
        mine.get("/fhir/Appointment", query_string={"_id": ids}).status_code
        for ids in (few, many)
    ]
    assert seen == [200, 429]
    assert mine.get(f"/fhir/Appointment/{NOBODYS}").status_code == 429


@pytest.mark.parametrize(
    "path_of", [lambda id_: f"/{id_}", lambda id_: f"?_cursor={cursor_text(id_)}"]
)
def test_a_resident_guesses_records_so_often(
    limited: NewGuarded, number: str, path_of: Callable[[str], str]
) -> None:
    """Ids of audit records count like those of appointments, alone and as cursors."""
    mine = limited(failed_looks=3).client("resident", number)
    seen = [
        mine.get(f"/fhir/AuditEvent{path_of(f'{NOBODYS}{i}')}").status_code
        for i in range(5)
    ]

    assert seen == [404, 404, 404, 429, 429]


def test_tokens_are_refused_so_often(limited: NewGuarded) -> None:
    """After too many tokens that nobody signed, the address is 429 for the next."""
    guarded = limited(failed_looks=3)
    wrong = guarded.with_token("a.b.c")
    seen = [wrong.get("/fhir/Slot?_count=1").status_code for _ in range(5)]

    assert seen == [401, 401, 401, 429, 429]
    assert guarded.client("system").get("/fhir/Slot?_count=1").status_code == 200
