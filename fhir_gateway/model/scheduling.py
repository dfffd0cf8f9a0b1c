"""
The eleven interactions of crm:scheduling 1.1, as requests in the domain model's terms.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from fhir_gateway.model.ids import (
    BookingId,
    HsaId,
    LogicalAddress,
    PerformerId,
    TimeTypeId,
)
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Timeslot

__all__ = [
    "CANCEL_BOOKING",
    "GET_ALL_CARE_TYPES",
    "GET_ALL_HEALTHCARE_FACILITIES",
    "GET_ALL_PERFORMERS",
    "GET_ALL_TIME_TYPES",
    "GET_AVAILABLE_DATES",
    "GET_AVAILABLE_TIMESLOTS",
    "GET_BOOKING_DETAILS",
    "GET_SUBJECT_OF_CARE_SCHEDULE",
    "INTERACTIONS",
    "MAKE_BOOKING",
    "READS",
    "UPDATE_BOOKING",
    "WRITES",
    "CancelBooking",
    "GetAllCareTypes",
    "GetAllHealthcareFacilities",
    "GetAllPerformers",
    "GetAllTimeTypes",
    "GetAvailableDates",
    "GetAvailableTimeslots",
    "GetBookingDetails",
    "GetSubjectOfCareSchedule",
    "MakeBooking",
    "UpdateBooking",
]

GET_ALL_CARE_TYPES: Final = Interaction("GetAllCareTypes")
GET_ALL_HEALTHCARE_FACILITIES: Final = Interaction("GetAllHealthcareFacilities")
GET_ALL_PERFORMERS: Final = Interaction("GetAllPerformers")
GET_ALL_TIME_TYPES: Final = Interaction("GetAllTimeTypes")
GET_AVAILABLE_DATES: Final = Interaction("GetAvailableDates")
GET_AVAILABLE_TIMESLOTS: Final = Interaction("GetAvailableTimeslots")
GET_BOOKING_DETAILS: Final = Interaction("GetBookingDetails")
GET_SUBJECT_OF_CARE_SCHEDULE: Final = Interaction("GetSubjectOfCareSchedule")
MAKE_BOOKING: Final = Interaction("MakeBooking", writes=True)
UPDATE_BOOKING: Final = Interaction("UpdateBooking", writes=True)
CANCEL_BOOKING: Final = Interaction("CancelBooking", writes=True)

INTERACTIONS: Final = (
    GET_ALL_CARE_TYPES,
    GET_ALL_HEALTHCARE_FACILITIES,
    GET_ALL_PERFORMERS,
    GET_ALL_TIME_TYPES,
    GET_AVAILABLE_DATES,
    GET_AVAILABLE_TIMESLOTS,
    GET_BOOKING_DETAILS,
    GET_SUBJECT_OF_CARE_SCHEDULE,
    MAKE_BOOKING,
    UPDATE_BOOKING,
    CANCEL_BOOKING,
)
WRITES: Final = frozenset(each for each in INTERACTIONS if each.writes)
READS: Final = frozenset(INTERACTIONS) - WRITES


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAllTimeTypes:
    """Which time types can be booked at a unit?"""

    unit: HsaId
    actor: Actor
    subject_of_care: PersonalIdentityNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAllCareTypes:
    """Which care types does a unit have?"""

    unit: HsaId
    actor: Actor
    subject_of_care: PersonalIdentityNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAllPerformers:
    """Whom can a resident choose at a unit?"""

    unit: HsaId
    actor: Actor
    subject_of_care: PersonalIdentityNumber
    time_type_ids: tuple[TimeTypeId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAllHealthcareFacilities:
    """Which units can a resident book at (or move a booking to)?"""

    unit: HsaId
    actor: Actor
    subject_of_care: PersonalIdentityNumber
    booking_id: BookingId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAvailableDates:
    """
    On which days is there a free time? Both days are included.

    A booking id asks for what that booking can be moved to.
    """

    unit: HsaId
    actor: Actor
    subject_of_care: PersonalIdentityNumber
    first_day: date
    last_day: date
    time_type_id: TimeTypeId | None = None
    performers: tuple[PerformerId, ...] = ()
    booking_id: BookingId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAvailableTimeslots:
    """
    Which times are free? Both days are included.

    A booking id asks for what that booking can be moved to.
    """

    unit: HsaId
    actor: Actor
    subject_of_care: PersonalIdentityNumber
    first_day: date
    last_day: date
    time_type_id: TimeTypeId | None = None
    performers: tuple[PerformerId, ...] = ()
    booking_id: BookingId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetBookingDetails:
    """What does one booking or invitation say?"""

    unit: HsaId
    actor: Actor
    booking_id: BookingId


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSubjectOfCareSchedule:
    """
    Which times has a resident booked?

    Attributes:
        address: A unit's HSA-id, or an address that aggregates several units.
    """

    address: LogicalAddress
    actor: Actor
    subject_of_care: PersonalIdentityNumber


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MakeBooking:
    """
    Book a free time for a resident.

    Attributes:
        invitation: The id of the open invitation that it answers, if any.
        actor: Who asks; None for the resident.
    """

    timeslot: Timeslot
    subject_of_care: SubjectOfCare
    reason: str | None = None
    invitation: BookingId | None = None
    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UpdateBooking:
    """
    Move a booking to a free time.

    Attributes:
        actor: Who asks; None for the resident.
    """

    booking_id: BookingId
    timeslot: Timeslot
    subject_of_care: SubjectOfCare
    reason: str | None = None
    actor: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CancelBooking:
    """
    Cancel a booking.

    Attributes:
        message: The resident's message to the unit; only where the booking permits one.
    """

    unit: HsaId
    booking_id: BookingId
    actor: Actor
    message: str | None = None
