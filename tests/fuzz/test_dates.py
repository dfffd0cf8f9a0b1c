"""
Dates and times wherever clients and regions write them.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.bodies import FHIR_JSON, appointment
from web.dialects import parameters

from fhir_gateway.model.timekeeping import (
    contract_date,
    contract_time,
    end_from_contract,
    instant_from_text,
    period_from_search_text,
    start_from_contract,
)

from .texts import DATES, TEXTS, TIMES
from .tries import tried
from .world import World, ask

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

_ANY = DATES | TIMES | TEXTS
_SEARCHED: Final = [
    ("Slot", "start"),
    ("Slot", "end"),
    ("Slot", "time-of-day"),
    ("Appointment", "date"),
    ("AuditEvent", "date"),
]
_DATED: Final = ("start", "end", "created", "requestedPeriod", "lastUpdated", "birth")
_COMPACT = st.from_regex(r"[0-9]{8}([0-9]{4}([0-9]{2})?)?", fullmatch=True) | st.builds(
    "{:04}{:02}{:02}{:02}{:02}{:02}".format,
    st.sampled_from([0, 1, 1582, 1970, 2026, 2027, 9999]),
    st.integers(0, 13),
    st.integers(0, 32),
    st.integers(0, 25),
    st.integers(0, 61),
    st.integers(0, 61),
)


@given(where=st.sampled_from(_SEARCHED), values=st.lists(_ANY, min_size=1, max_size=3))
@tried("dates and times", 0.3)
def test_a_search_by_any_time_is_answered_or_refused(
    world: World, number: str, where: tuple[str, str], values: list[str]
) -> None:
    """Times that are none, ranges of nothing and of ten thousand years."""
    kind, name = where
    pairs = [f"{name}={quote(value, safe='', errors='replace')}" for value in values]

    if kind == "Appointment":
        person = quote(f"http://electronichealth.se/identifier/personnummer|{number}")
        response = ask(
            world.client("resident", number),
            "POST",
            "/fhir/Appointment/_search",
            data="&".join([f"patient.identifier={person}", *pairs]),
            content_type="application/x-www-form-urlencoded",
        )
    else:
        response = ask(
            world.client("resident", number), "GET", f"/fhir/{kind}?{'&'.join(pairs)}"
        )

    assert response.status_code in (200, 400, 414)


@given(name=st.sampled_from(_DATED), text=_ANY, patched=st.booleans())
@tried("dates and times", 0.2)
def test_an_appointment_at_any_time_is_made_or_refused(
    world: World, number: str, name: str, text: str, *, patched: bool
) -> None:
    """A time in a body is the slot's own, or a fault."""
    value: Any = {
        "requestedPeriod": [{"start": text, "end": text}],
    }.get(name, text)
    changes = {name: value} if name not in ("lastUpdated", "birth") else {}
    body = appointment(world.slots()[0], number, **changes)
    if name == "lastUpdated":
        body["meta"] = {"lastUpdated": text}
    if name == "birth":
        body["contained"][0]["birthDate"] = text
    client = world.client("resident", number)
    if patched:
        response = ask(
            client,
            "PATCH",
            f"/fhir/Appointment/{world.canary.ids[0]}",
            json=[{"op": "replace", "path": f"/{name}", "value": value}],
            content_type="application/json-patch+json",
        )
    else:
        response = ask(
            client, "POST", "/fhir/Appointment", json=body, content_type=FHIR_JSON
        )
        world.undo(response)

    assert response.status_code in (201, 400, 404, 409, 422)


@given(start=_ANY, end=_ANY, kind=st.sampled_from(["valueDateTime", "valueDate"]))
@tried("dates and times", 0.2)
def test_free_times_are_found_between_any_times(
    world: World, number: str, start: str, end: str, kind: str
) -> None:
    """`$find` with any window answers or refuses."""
    response = ask(
        world.client("nobody", number),
        "POST",
        "/fhir/Appointment/$find",
        json=parameters({"name": "start", kind: start}, {"name": "end", kind: end}),
        content_type=FHIR_JSON,
    )

    assert response.status_code in (200, 400, 422)


@given(text=_COMPACT | _ANY)
@tried("dates and times", 0.3)
def test_a_regions_time_is_an_instant_or_a_fault(text: str) -> None:
    """Each reader of a time returns one, with a zone, or raises ValueError."""
    for reader in (contract_time, contract_date):
        with suppress(ValueError):
            assert reader(text).isascii()
    with suppress(ValueError):
        start = start_from_contract(text)
        assert start.tzinfo is not None
        with suppress(ValueError):
            assert end_from_contract(text, start - timedelta(minutes=1)) >= start
    with suppress(ValueError):
        first, last = period_from_search_text(text)
        assert first < last
    with suppress(ValueError):
        instant = instant_from_text(text)
        assert instant is None or instant.astimezone(UTC) >= datetime.min.replace(
            tzinfo=UTC
        )
