"""
Bookings and what a region answers to a write.
"""

import pytest

from fhir_gateway.model.booking import (
    Booking,
    BookingPermissions,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.timeslot import Schedule


@pytest.mark.parametrize(
    ("code", "is_done"),
    [
        pytest.param(ResultCode.OK, True, id="OK"),
        pytest.param(ResultCode.INFO, True, id="INFO"),
        pytest.param(ResultCode.ERROR, False, id="ERROR"),
    ],
)
def test_write_is_done_unless_the_region_says_error(
    code: ResultCode,
    is_done: bool,  # noqa: FBT001 - a table of values
) -> None:
    """OK and INFO both mean done."""
    assert WriteResult(code=code).is_done is is_done


def test_result_codes_are_the_contracts() -> None:
    """There are the three codes of the schema."""
    assert [code.value for code in ResultCode] == ["OK", "INFO", "ERROR"]


def test_permission_that_is_not_given_is_withheld() -> None:
    """Absent means no."""
    assert BookingPermissions() == BookingPermissions(
        cancel=False, rebook=False, message=False
    )


def test_schedule_of_a_booking_is_that_of_its_time() -> None:
    """A booking with a known time type belongs to the same schedule as free times."""
    booking = Booking(
        unit=HsaId("SE1-A"),
        booking_id=BookingId("B"),
        start=None,
        end=None,
        time_type_id=TimeTypeId("101"),
        time_type_name="Läkarbesök",
        performer=PerformerId("SE1-P"),
        performer_name="Agnes Testberg",
        resource_id=ResourceId("R3"),
        resource_name="Rum 3",
        care_type_id=CareTypeId("V1"),
        care_type_name="Besök",
    )

    assert booking.schedule == Schedule(
        unit=HsaId("SE1-A"),
        time_type_id=TimeTypeId("101"),
        time_type_name="Läkarbesök",
        performer=PerformerId("SE1-P"),
        performer_name="Agnes Testberg",
        resource_id=ResourceId("R3"),
        resource_name="Rum 3",
        care_type_id=CareTypeId("V1"),
        care_type_name="Besök",
    )


def test_time_type_without_a_name_is_called_by_its_id() -> None:
    """A schedule always has something to show."""
    booking = Booking(
        unit=HsaId("SE1-A"),
        booking_id=None,
        start=None,
        end=None,
        time_type_id=TimeTypeId("101"),
    )

    assert booking.schedule == Schedule(
        unit=HsaId("SE1-A"), time_type_id=TimeTypeId("101"), time_type_name="101"
    )


def test_booking_without_a_time_type_has_no_schedule() -> None:
    """Where the source does not state the time type, the schedule is unknown."""
    booking = Booking(unit=HsaId("SE1-A"), booking_id=None, start=None, end=None)

    assert booking.schedule is None
