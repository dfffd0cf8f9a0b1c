"""
How a free time and a booking are written in an answer of the contract.
"""

from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType
from fhir_gateway.sandbox.agenda import PlannedTime
from fhir_gateway.sandbox.book import BookedTime
from fhir_gateway.sandbox.catalogue import Calendar

__all__ = ["timeslot_of_booking", "timeslot_of_free_time"]


def timeslot_of_free_time(time: PlannedTime) -> TimeslotType:
    """Return a free time as a list of free times has it."""
    performer = time.calendar.performer
    care_type = time.time_type.care_type
    return TimeslotType(
        start_time_inclusive=time.start,
        end_time_exclusive=time.end,
        healthcare_facility=time.unit.hsa_id,
        performer=performer.hsa_id if performer else None,
        healthcare_facility_name=time.unit.care_unit.name,
        performer_name=_performer_name(time.calendar),
        time_type_name=time.time_type.name,
        time_type_id=time.time_type.id,
        care_type_name=care_type.name if care_type else None,
        care_type_id=care_type.id if care_type else None,
    )


def timeslot_of_booking(booked: BookedTime) -> TimeslotType:
    """Return a booking or an invitation; an open invitation has no times."""
    time = booked.time
    performer = time.calendar.performer if time else None
    care_type = booked.time_type.care_type
    return TimeslotType(
        start_time_inclusive=time.start if time else None,
        end_time_exclusive=time.end if time else None,
        healthcare_facility=booked.unit.hsa_id,
        performer=performer.hsa_id if performer else None,
        booking_id=booked.booking_id,
        subject_of_care=booked.party.subject_of_care,
        purpose=booked.purpose,
        reason=booked.party.reason,
        healthcare_facility_name=booked.unit.care_unit.name,
        performer_name=_performer_name(time.calendar) if time else None,
        time_type_name=booked.time_type.name,
        time_type_id=booked.time_type.id,
        care_type_name=care_type.name if care_type else None,
        care_type_id=care_type.id if care_type else None,
        cancel_booking_allowed=time is not None and booked.time_type.may_change,
        rebooking_allowed=time is not None and booked.time_type.may_change,
        message_allowed=booked.time_type.may_message,
        is_invitation=booked.is_invitation,
    )


def _performer_name(calendar: Calendar) -> str | None:
    performer = calendar.performer
    if performer is None:
        return None
    return f"{performer.title} {performer.first_name} {performer.last_name}"
