"""
Postponement: the slot that new times say.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.postponement import named_slot, postponed
from fhir_gateway.model.timekeeping import instant_text
from fhir_gateway.model.timeslot import TimeslotToken

_BASE = "http://gateway.test/fhir"
_TOKEN = TimeslotToken.parse("SE2321009901-1001.7rppv31e.g5pul62m.1lgd3jo.s4")


def sent(**changes: Any) -> dict[str, Any]:
    """Return an Appointment as a client reads it, changed."""
    return {
        "resourceType": "Appointment",
        "slot": [{"reference": f"Slot/{_TOKEN.text}"}],
        "start": instant_text(_TOKEN.starts_at),
        "end": instant_text(_TOKEN.ends_at),
        **changes,
    }


def test_the_present_times_postpone_nothing() -> None:
    """An Appointment with its slot's times is as it was."""
    assert postponed(sent(), _TOKEN) is None


def test_new_times_say_the_slot_of_the_same_schedule() -> None:
    """Another start and end give the slot of the schedule at those times."""
    body = sent(start="2027-01-01T10:00:00+01:00", end="2027-01-01T09:20:00Z")

    found = postponed(body, _TOKEN)
    token = named_slot(found, _BASE)
    assert token is not None
    assert (token.schedule, token.length) == (_TOKEN.schedule, 1200)
    assert instant_text(token.starts_at) == "2027-01-01T10:00:00+01:00"


@pytest.mark.parametrize(
    "times",
    [
        {"start": "2027-01-01T10:00:00+01:00", "end": None},
        {"start": "2027-01-01T10:00:00", "end": "2027-01-01T10:20:00"},
        {"start": "x", "end": "y"},
        {"start": 1, "end": 2},
        {"start": "2027-01-01T10:20:00Z", "end": "2027-01-01T10:00:00Z"},
        {"start": "9999-01-01T10:20:00Z", "end": "0001-01-01T10:00:00Z"},
    ],
    ids=str,
)
def test_unreadable_times_say_nothing(times: dict[str, Any]) -> None:
    """What are no two instants in order is left to the reading of the Appointment."""
    assert postponed(sent(**times), _TOKEN) is None


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.fixed_dictionaries(
            {}, optional={"start": st.text(), "end": st.text(), "slot": st.text()}
        ),
    )
)
def test_any_body_is_read(body: Any) -> None:
    """No body fails."""
    named_slot(body, _BASE)
    if isinstance(body, dict):
        postponed(body, _TOKEN)
