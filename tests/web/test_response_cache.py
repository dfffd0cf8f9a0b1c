"""
The response cache: never another answer than a search gives.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from assertions import assert_searchset, outcome_entries
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.timekeeping import civil_date, now
from fhir_gateway.web.response_cache import CachedResponse, ResponseCache

from .bodies import appointment
from .running import OtherPrograms, fill, own_regions

URL = "/fhir/Slot?service-type=72791000052103&_count=5"
# None of these begins while a test lets time pass.
FAR_URL = f"{URL}&start=ge{civil_date(now()) + timedelta(days=5)}"


class Holding:
    """What says whether an answer still holds."""

    def __init__(self) -> None:
        self.version = 1
        self.instant = 0.0

    def __call__(self, version: int, until: float) -> bool:
        """Return whether an answer holds."""
        return version == self.version and self.instant < until


@pytest.fixture(name="holding")
def _holding() -> Holding:
    return Holding()


@pytest.fixture(name="cache")
def _cache(holding: Holding) -> ResponseCache:
    return ResponseCache(holding, most_bytes=100_000)


def response(size: int = 10, *, version: int = 1, until: float = 60) -> CachedResponse:
    """Return a response of a size, in thousands of bytes."""
    return CachedResponse(
        body=b"x" * 1_000 * size, etag="e", version=version, until=until
    )


def keep(cache: ResponseCache, asked: str, given: CachedResponse) -> None:
    """Ask the same twice."""
    cache.put(asked, given)
    cache.put(asked, given)


def test_a_search_that_was_sent_once_is_not_cached(cache: ResponseCache) -> None:
    """The first time costs no memory; the second time it is cached."""
    cache.put("a", response())
    first = cache.get("a")
    cache.put("a", response())

    assert first is None
    assert cache.get("a") is not None
    assert cache.get("b") is None


def test_a_response_leaves_when_it_no_longer_holds(
    cache: ResponseCache, holding: Holding
) -> None:
    """At that very instant, and with the next snapshot."""
    keep(cache, "a", response(until=60))
    keep(cache, "b", response(until=90))
    holding.instant = 60

    found = [cache.get("a"), cache.get("b")]
    holding.version = 2

    assert [each is None for each in found] == [True, False]
    assert cache.get("b") is None
    assert len(cache) == 0


def test_what_was_used_least_recently_makes_room(cache: ResponseCache) -> None:
    """All together never take more bytes than they may."""
    keep(cache, "a", response(40))
    keep(cache, "b", response(40))
    cache.get("a")
    keep(cache, "c", response(40))

    assert [cache.get(each) is not None for each in "abc"] == [True, False, True]


def test_a_response_that_is_too_large_is_not_cached(cache: ResponseCache) -> None:
    """It would displace all others."""
    keep(cache, "a", response(10))
    keep(cache, "b", response(101))

    assert cache.get("b") is None


def test_a_newer_response_replaces_an_older_one(cache: ResponseCache) -> None:
    """Each counts once."""
    keep(cache, "a", response(60))
    cache.put("a", response(90, until=70))

    assert cache.get("a") == response(90, until=70)


def test_searches_count_like_responses(cache: ResponseCache) -> None:
    """Thousands of long questions take no more memory than short ones may."""
    for number in range(1_000):
        keep(cache, f"{number}" + "x" * 10_000, response(0))

    assert len(cache) < 10


# In the server


class Programmed:
    """A gateway with a clock that a test moves."""

    def __init__(self) -> None:
        self.moment = now()

    def clock(self) -> datetime:
        """Return the moment."""
        return self.moment


@pytest.fixture(name="programmed")
def _programmed() -> Programmed:
    return Programmed()


@pytest.fixture(name="made")
def _made(
    other_programs: OtherPrograms, programmed: Programmed, tmp_path: Path
) -> Iterator[Program]:
    with (
        own_regions(tmp_path) as (_, sources),
        other_programs.start(sources=sources, clock=programmed.clock) as made,
    ):
        fill(made)
        yield made


def thrice(client: FlaskClient, url: str = URL, **options: Any) -> list[bytes]:
    """Ask the same three times: the third response comes from the cache."""
    return [client.get(url, **options).data for _ in range(3)]


def starts(body: Any) -> list[datetime]:
    """Return when the slots of a bundle begin."""
    return [
        datetime.fromisoformat(entry["resource"]["start"])
        for entry in body.get("entry", ())
        if entry["search"]["mode"] == "match"
    ]


def test_a_cached_response_is_the_response(made: Program) -> None:
    """Byte by byte, with the same headers."""
    client = made.app.test_client()
    first, second, third = [client.get(URL) for _ in range(3)]

    assert first.data == second.data == third.data
    assert dict(first.headers) == dict(third.headers)
    assert_searchset(third)


def test_what_is_booked_leaves_the_cache_too(made: Program, numbers: list[str]) -> None:
    """The next answer is without it."""
    client = made.app.test_client()
    thrice(client)
    shown = client.get(URL).json
    assert shown is not None
    slot = shown["entry"][0]["resource"]["id"]

    booked = client.post("/fhir/Appointment", json=appointment(slot, numbers[0]))
    after = client.get(URL).json

    assert booked.status_code == 201
    assert after is not None
    assert slot not in [entry["resource"]["id"] for entry in after["entry"]]


def test_a_slot_that_begins_leaves_the_cache_too(
    made: Program, programmed: Programmed
) -> None:
    """Nothing but time has passed."""
    client = made.app.test_client()
    thrice(client)
    shown = client.get(URL).json
    assert shown is not None
    first = starts(shown)[0]
    programmed.moment = first

    after = client.get(URL).json

    assert after is not None
    assert all(start > first for start in starts(after))


def test_a_source_that_becomes_stale_is_reported_beside_cached_responses(
    made: Program, programmed: Programmed
) -> None:
    """Only time has passed; the answers stay the same until that changes them."""
    client = made.app.test_client()
    began = programmed.moment
    young = [client.get(FAR_URL).json for _ in range(3)]
    programmed.moment = began + timedelta(minutes=11)
    old = [client.get(FAR_URL).json for _ in range(3)]
    programmed.moment = began + timedelta(minutes=12)
    older = client.get(FAR_URL).json

    answers = [
        [each["diagnostics"].partition(" (source")[0] for each in outcome_entries(body)]
        for body in (*young, *old, older)
        if body is not None
    ]
    titles = [f"Region {name} (sandlåda)" for name in ("Mitt", "Norr", "Syd")]
    assert answers == [
        *[[]] * 3,
        *[[f"{title} last answered 11 minutes ago." for title in titles]] * 3,
        [f"{title} last answered 12 minutes ago." for title in titles],
    ]


def test_a_removed_offering_leaves_the_cache_too(
    made: Program, programmed: Programmed
) -> None:
    """Half an hour old, nothing of a source is offered."""
    client = made.app.test_client()
    thrice(client, FAR_URL)
    shown = client.get(FAR_URL).json
    programmed.moment += timedelta(minutes=31)
    made.view.catch_up()

    after = client.get(FAR_URL).json

    assert shown is not None
    assert after is not None
    assert (len(starts(shown)), starts(after)) == (5, [])


def test_a_cached_response_goes_to_clients_that_can_take_it(made: Program) -> None:
    """What else a client sends decides as if there were no cache."""
    client = made.app.test_client()
    thrice(client)
    thrice(client, f"{URL}&colour=red", headers={"Prefer": "handling=lenient"})

    statuses = [
        client.get(URL, headers={"Accept": "text/turtle"}).status_code,
        client.get(f"{URL}&_format=ttl").status_code,
        client.get(URL, headers={"Accept": "application/json"}).status_code,
        client.get(f"{URL}&colour=red").status_code,
        client.get(
            f"{URL}&colour=red", headers={"Prefer": "handling=lenient"}
        ).status_code,
    ]

    assert statuses == [406, 406, 200, 400, 200]


def test_a_cached_response_has_its_etag(made: Program) -> None:
    """304 to a client that has it; the headers alone to HEAD."""
    client = made.app.test_client()
    thrice(client)
    etag = client.get(URL).headers["ETag"]

    again = client.get(URL, headers={"If-None-Match": etag})
    head = client.head(URL)

    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", etag)


def test_two_spellings_of_a_search_share_a_cached_response(made: Program) -> None:
    """Spellings of a query, and headers of any size, are no other questions."""
    client = made.app.test_client()
    thrice(client)
    same = [
        client.get(url, headers={"Prefer": "x" * size, "Accept": "*/*" + " " * size})
        for size in (0, 300, 3_000)
        for url in (URL, URL.replace("service", "%73ervice"), f"{URL}&status=")
    ]

    assert {each.data for each in same} == {client.get(URL).data}


def test_long_questions_are_not_remembered(made: Program) -> None:
    """What many of them mean is not cached, so that memory has an end."""
    client = made.app.test_client()
    schema = next(
        each.search
        for each in made.app.routes
        if each.type == "Slot" and each.search is not None
    )
    before = len(schema.understood)
    padding = "status=free&" * 60
    for _ in range(3):
        client.get(f"/fhir/Slot?{padding}_count=1")

    assert len(schema.understood) == before


def test_a_search_by_post_is_not_mixed_up_with_a_cached_response(made: Program) -> None:
    """The body counts, with any text in the URL."""
    client = made.app.test_client()
    thrice(client, "/fhir/Slot?_count=5")

    posted = client.post("/fhir/Slot/_search?_count=5", data={"_sort": "-start"}).json
    kept = client.get("/fhir/Slot?_count=5").json

    assert posted is not None
    assert kept is not None
    assert starts(posted) == sorted(starts(posted), reverse=True)
    assert starts(kept) == sorted(starts(kept))
    assert starts(posted) != starts(kept)
