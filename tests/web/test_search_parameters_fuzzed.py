"""
Searches with any text in their parameters: answered rightly, or refused.

Each class of bad input that is known for search parameters and for dates and times is
generated from; and an understood parameter narrows a search exactly as it says.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from assertions import FHIR_JSON, assert_searchset
from examples import examples
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.model.timekeeping import now
from fhir_gateway.web.directory.routes import directory_schemas
from fhir_gateway.web.slot_query import SlotSearchSchema

from .bodies import region_of
from .running import BASE_URL, REGIONS

Pairs = list[tuple[str, str]]

# A published test number: nothing that is refused may repeat it.
_CANARY: Final = "197501019801"
_SOURCE: Final = "https://fhir-gateway.example.org/source"
_NEAR: Final = "schedule.actor:Location.near"
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SCHEMAS: Final = {
    "Slot": SlotSearchSchema(),
    **directory_schemas(),
}
_SLICE: Final = settings(
    max_examples=examples(80),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


# Anything at all.

_PREFIXES = st.sampled_from(
    ["", "eq", "ne", "ge", "gt", "le", "lt", "sa", "eb", "ap", "xx", "GE", "g"]
)
_CLOCKS = st.sampled_from(
    [
        *("00:00", "08:00", "23:59", "24:00", "23:60", "8:00", "08:00:60", "-1:00"),
        *("02:30", "0800", "08", "08:00Z", "08:00+14:00", "\u0660\u0668:00", "noon"),
    ]
)
_DATES = st.sampled_from(
    [
        *("2026-12-01", "2026-13-01", "2026-02-30", "0000", "9999", "2027", "2027-01"),
        *("2027-03-28T02:30:00", "2026-10-25T02:30:00", "2026-12-01T24:00:00Z"),
        *("2026-12-01T08:60:00Z", "2026-12-01T08:00:60Z", "2026-12-01T08:00+14:00"),
        *("2026-12-01T08:00:00 01:00", "20261201080000", "2026-12-01T08:00:00+15:00"),
        *("2026-12-01T08:00:00.123456789Z", "1e9", "NaN", "now", "2016-01-01"),
    ]
)
_TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        *("", ",", "|", "||", "|||", "\\", "\\,", "a,,b", "*", "\0", "\r\nX-A: b", "%"),
        *("0", "-1", "1e9", "1" * 500, "a" * 500, f"x{_CANARY}", f"|{_CANARY}"),
        *("59.3|18.0|5|km", "59.3|18.0|-5", "91|0", "0|181", "59,3|18,0", "NaN|NaN"),
        *("59.3|18.0|1e999|km", "59.3|18.0|5|mil", "a|b|c|d|e", "59.3|18.0||"),
        *("mon", "Mon", "mon,tue", "monday", "http://hl7.org/fhir/days-of-week|mon"),
        *(
            f"{_SOURCE}/norr",
            f"{_SOURCE}/",
            "norr",
            "urn:x",
            "http://",
            "free",
            "-start",
        ),
        *("Slot:schedule", "Schedule:actor:Patient", "Location/x", "Patient/x", "../x"),
    ]
)
_VALUES = (
    st.builds(str.__add__, _PREFIXES, _CLOCKS)
    | st.builds(str.__add__, _PREFIXES, _DATES)
    | _TEXTS
)
_STRANGE_NAMES = st.sampled_from(
    [
        *("colour", "_has:Schedule:slot:actor", "_id", "_lastUpdated", "_elements", ""),
        *("_revinclude", "schedule.actor", "schedule.actor:Patient.name", "near"),
        *("location.near:below", "schedule.actor:Location.near.x", _CANARY, "\0"),
        *("__proto__", "a" * 500),
    ]
)


@st.composite
def searches(draw: st.DrawFn) -> tuple[str, Pairs]:
    """Return a type and parameters, most of them ones that it is searched by."""
    kind = draw(st.sampled_from(sorted(_SCHEMAS)))
    declared = st.sampled_from(sorted(_SCHEMAS[kind].by_name))
    modified = st.builds(
        "{}{}".format,
        declared,
        st.sampled_from(
            [":missing", ":not", ":exact", ":below", ":Patient", ".x", "[]"]
        ),
    )
    names = st.one_of(declared, declared, declared, modified, _STRANGE_NAMES)
    return kind, draw(st.lists(st.tuples(names, _VALUES), min_size=1, max_size=5))


@given(search=searches())
@_SLICE
def test_every_search_is_answered_or_refused_by_name(
    client: FlaskClient, search: tuple[str, Pairs]
) -> None:
    """
    A search is a searchset, or every fault has an issue that points at its parameter.

    A refused parameter is refused alone as well, and one that was not named is not.
    """
    kind, pairs = search
    response = client.get(f"/fhir/{kind}?{encoded(pairs)}")

    assert response.status_code in (200, 400, 406), response.text
    assert response.headers["Content-Type"] == FHIR_JSON
    if response.status_code == 200:
        assert_searchset(response)
        return
    assert _CANARY not in response.text + str(response.headers)
    assert response.json is not None
    issues = response.json["issue"]
    assert all(each["severity"] == "error" and each["diagnostics"] for each in issues)
    if response.status_code == 406 or "\0" in "".join(map("".join, pairs)):
        return
    if issues[0]["code"] == "security":
        # A number in the URL: nothing else is looked at.
        assert _CANARY in str(pairs)
        return
    named = {each["location"][0] for each in issues if "location" in each}
    assert named <= {f"http.{name}" for name, _ in pairs}
    for name in {name for name, _ in pairs if name in _SCHEMAS[kind].by_name}:
        alone = client.get(
            f"/fhir/{kind}?{encoded([pair for pair in pairs if pair[0] == name])}"
        )
        # A cursor is looked at when everything else is understood.
        if name != "_cursor":
            assert (alone.status_code == 400) == (f"http.{name}" in named), name


def test_ten_thousand_parameters_are_too_many(client: FlaskClient) -> None:
    """A search with very many parameters is refused at once."""
    response = client.get("/fhir/Slot?" + "&".join(["day-of-week=mon"] * 10_000))

    assert response.status_code in (400, 414)
    assert response.json is not None
    assert len(response.json["issue"]) == 1


def encoded(pairs: Pairs) -> str:
    """Return a query."""
    return "&".join(
        f"{quote(name, safe='', errors='replace')}="
        f"{quote(value, safe='', errors='replace')}"
        for name, value in pairs
    )


# What is understood.


@dataclass(frozen=True)
class Filter:
    """A parameter, and which slots it leaves."""

    name: str
    value: str
    fits: Callable[[dict[str, Any], tuple[float, float]], bool]


def begins(slot: dict[str, Any]) -> datetime:
    """Return when a slot begins, on the Swedish clock."""
    return datetime.fromisoformat(slot["start"]).astimezone(
        ZoneInfo("Europe/Stockholm")
    )


@st.composite
def of_regions(draw: st.DrawFn) -> Filter:
    """Return a filter by region."""
    names = draw(st.sets(st.sampled_from([*REGIONS, "nowhere"]), min_size=1))
    return Filter(
        "_source",
        ",".join(f"{_SOURCE}/{name}" for name in names),
        lambda slot, _: region_of(slot) in names,
    )


@st.composite
def on_days(draw: st.DrawFn) -> Filter:
    """Return a filter by days of the week."""
    days = draw(st.sets(st.sampled_from(_DAYS), min_size=1))
    return Filter(
        "day-of-week",
        ",".join(sorted(days)),
        lambda slot, _: _DAYS[begins(slot).weekday()] in days,
    )


_COMPARE: Final[dict[str, Callable[[str, str], bool]]] = {
    "": lambda shown, value: shown == value,
    "ne": lambda shown, value: shown != value,
    "ge": lambda shown, value: shown >= value,
    "gt": lambda shown, value: shown > value,
    "le": lambda shown, value: shown <= value,
    "lt": lambda shown, value: shown < value,
}


@st.composite
def at_times(draw: st.DrawFn) -> Filter:
    """Return a filter by times of day: one of up to three fits."""
    values = draw(
        st.lists(
            st.tuples(
                st.sampled_from(sorted(_COMPARE)),
                st.builds("{:02}:{:02}".format, st.integers(6, 18), st.integers(0, 59)),
            ),
            min_size=1,
            max_size=3,
        )
    )
    return Filter(
        "time-of-day",
        ",".join(f"{prefix}{shown}" for prefix, shown in values),
        lambda slot, _: any(
            _COMPARE[prefix](f"{begins(slot):%H:%M}", value) for prefix, value in values
        ),
    )


@st.composite
def ending(draw: st.DrawFn) -> Filter:
    """Return a filter by when slots end, in the days that the regions list."""
    hours = draw(st.integers(-24, 24 * 20))
    limit = now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)
    prefix, fits = draw(
        st.sampled_from(
            [
                ("lt", datetime.__lt__),
                ("le", datetime.__le__),
                ("ge", datetime.__ge__),
                ("gt", datetime.__gt__),
            ]
        )
    )
    return Filter(
        "end",
        f"{prefix}{limit.isoformat()}",
        lambda slot, _: fits(datetime.fromisoformat(slot["end"]), limit),
    )


@st.composite
def of_other_services(draw: st.DrawFn) -> Filter:
    """Return a filter by what slots are not for."""
    codes = draw(
        st.sets(st.sampled_from(["72791000052103", "TT-GRUPP", "x"]), min_size=1)
    )
    return Filter(
        "service-type:not",
        ",".join(sorted(codes)),
        lambda slot, _: (
            not codes
            & {
                coding["code"]
                for concept in slot["serviceType"]
                for coding in concept["coding"]
            }
        ),
    )


@st.composite
def near_places(draw: st.DrawFn) -> Filter:
    """Return a filter by distance from somewhere in Sweden."""
    latitude = draw(st.integers(5500, 6900)) / 100
    longitude = draw(st.integers(1100, 2400)) / 100
    km = draw(st.integers(0, 1500))
    return Filter(
        _NEAR,
        f"{latitude}|{longitude}|{km}|km",
        lambda _, position: distance_km(position, (latitude, longitude)) <= km,
    )


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the length of the great circle between latitudes and longitudes."""
    a, b = math.radians(one[0]), math.radians(other[0])
    half = math.radians(one[1] - other[1]) / 2
    haversine = math.sin((a - b) / 2) ** 2 + (
        math.cos(a) * math.cos(b) * math.sin(half) ** 2
    )
    return 2 * 6371.0088 * math.asin(math.sqrt(haversine))


def everything(
    client: FlaskClient, pairs: Pairs, *, count: int
) -> list[dict[str, Any]]:
    """
    Return all slots of a search, page by page: as many as its total says.

    A search for a region that nobody knows has no total, and finds none.
    """
    path: str | None = f"/fhir/Slot?{encoded([*pairs, ('_count', str(count))])}"
    found: list[dict[str, Any]] = []
    total = None
    while path is not None:
        response = client.get(path)
        found += assert_searchset(response)
        assert response.json is not None
        total = response.json.get("total", 0)
        links = {each["relation"]: each["url"] for each in response.json["link"]}
        path = links.get("next", "").removeprefix(BASE_URL.rpartition("/")[0]) or None
    assert total == len(found)
    return found


@pytest.fixture(name="positions")
def _positions(client: FlaskClient) -> dict[str, tuple[float, float]]:
    """Return where each unit lies."""
    units = {
        slot["id"].partition(".")[0] for slot in everything(client, [], count=1000)
    }
    found = {}
    for unit in units:
        response = client.get(f"/fhir/Location/{unit}")
        assert response.json is not None
        position = response.json["position"]
        found[unit] = (position["latitude"], position["longitude"])
    return found


class Orders(dict[str, list[dict[str, Any]]]):
    """Every slot, in each order; a failed test does not print them all."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


@pytest.fixture(name="whole")
def _whole(client: FlaskClient) -> Orders:
    """Return every slot, in each order."""
    return Orders(
        {
            order: everything(client, [("_sort", order)], count=1000)
            for order in ("start", "-start")
        }
    )


@given(
    filters=st.lists(
        st.one_of(
            *(of_regions(), on_days(), at_times(), near_places()),
            *(ending(), of_other_services()),
        ),
        min_size=1,
        max_size=4,
    ),
    count=st.sampled_from([300, 1000]),
    order=st.sampled_from(["start", "-start"]),
    of_each_unit=st.booleans(),
)
@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_what_is_understood_narrows_exactly(
    client: FlaskClient,
    positions: dict[str, tuple[float, float]],
    whole: Orders,
    *,
    filters: list[Filter],
    count: int,
    order: str,
    of_each_unit: bool,
) -> None:
    """A narrowed search is the whole search, looked through slot after slot."""
    asked = [("_sort", order), *((each.name, each.value) for each in filters)]
    if of_each_unit:
        asked.append(("first-per", "unit"))
        # Small pages: the set of units that were seen grows.
        count //= 200

    narrowed = everything(client, asked, count=count)

    expected = [
        slot["id"]
        for slot in whole[order]
        if all(
            each.fits(slot, positions[slot["id"].partition(".")[0]]) for each in filters
        )
    ]
    if of_each_unit:
        earliest = {
            each.partition(".")[0]: each
            for each in (expected if order == "-start" else expected[::-1])
        }
        expected = [each for each in expected if each in earliest.values()]
    assert [slot["id"] for slot in narrowed] == expected
