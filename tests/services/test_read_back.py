"""
When a booking is of a time: what two answers of a source say of the same thing.
"""

from dataclasses import replace

import pytest
from builders import booked, timeslot

from fhir_gateway.model.ids import PerformerId
from fhir_gateway.services.read_back import is_the_same_time


@pytest.mark.parametrize(
    ("ours", "theirs", "is_same"),
    [
        pytest.param("SE1-P1", "SE1-P1", True, id="the same"),
        pytest.param("se1-p1", "SE1-P1", True, id="in another case"),
        pytest.param("SE1-P1", "SE1-P2", False, id="another HSA-id"),
        pytest.param("1001", "1001", True, id="the same number"),
        pytest.param("1001", "1002", False, id="another number"),
        pytest.param("1001", "SE1-P1", True, id="not to be compared"),
        pytest.param(None, "1001", True, id="not said of the time"),
        pytest.param("SE1-P1", None, True, id="not said of the booking"),
    ],
)
def test_performers_are_compared_where_they_can_be(
    ours: str | None,
    theirs: str | None,
    is_same: bool,  # noqa: FBT001 - a table of values
) -> None:
    """HSA-ids compare without regard to case, other texts as they stand."""
    time = timeslot(24)
    time = replace(
        time, schedule=replace(time.schedule, performer=ours and PerformerId(ours))
    )
    booking = replace(booked(time), performer=theirs and PerformerId(theirs))

    assert is_the_same_time(booking, time) is is_same
