"""
The eleven interactions of crm:scheduling 1.1, as requests in the program's own words.
"""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from fhir_gateway.model.ids import (
    BookingId,
    HsaId,
    LogicalAddress,
    PerformerId,
    TimeTypeId,
)
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Timeslot

__all__ = [
    "READS",
    "WRITES",
    "Actor",
    "ActorType",
    "CancelBooking",
    "GetAllCareTypes",
    "GetAllHealthcareFacilities",
    "GetAllPerformers",
    "GetAllTimeTypes",
    "GetAvailableDates",
    "GetAvailableTimeslots",
    "GetBookingDetails",
    "GetSubjectOfCareSchedule",
    "Interaction",
    "MakeBooking",
    "UpdateBooking",
]


class Interaction(Enum):
    """The contract's names."""

    GET_ALL_CARE_TYPES = "GetAllCareTypes"
    GET_ALL_HEALTHCARE_FACILITIES = "GetAllHealthcareFacilities"
    GET_ALL_PERFORMERS = "GetAllPerformers"
    GET_ALL_TIME_TYPES = "GetAllTimeTypes"
    GET_AVAILABLE_DATES = "GetAvailableDates"
    GET_AVAILABLE_TIMESLOTS = "GetAvailableTimeslots"
    GET_BOOKING_DETAILS = "GetBookingDetails"
    GET_SUBJECT_OF_CARE_SCHEDULE = "GetSubjectOfCareSchedule"
    MAKE_BOOKING = "MakeBooking"
    UPDATE_BOOKING = "UpdateBooking"
    CANCEL_BOOKING = "CancelBooking"


WRITES = frozenset(
    {
        Interaction.MAKE_BOOKING,
        Interaction.UPDATE_BOOKING,
        Interaction.CANCEL_BOOKING,
    }
)
READS = frozenset(Interaction) - WRITES


class ActorType(Enum):
    """Who asks (RIV-TA `Actor` header)."""

    SUBJECT_OF_CARE = "subject_of_care"
    AGENT = "subject_of_care_agent"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Actor:
    """
    The `Actor` header: the resident, or an agent with an HSA-id.

    A producer must not tailor availability to the person when an agent asks.
    """

    id: str
    type: ActorType

    def __repr__(self) -> str:
        return f"{type(self).__name__}(type={self.type.value})"

    @classmethod
    def resident(cls, number: PersonalIdentityNumber) -> "Actor":
        """Return the resident as actor."""
        return cls(id=number.reveal(), type=ActorType.SUBJECT_OF_CARE)

    @classmethod
    def agent(cls, hsa_id: HsaId) -> "Actor":
        """Return an organisation or employee as actor."""
        return cls(id=hsa_id, type=ActorType.AGENT)


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
        invitation: The id of the open invitation that it answers, if one.
    """

    timeslot: Timeslot
    subject_of_care: SubjectOfCare
    reason: str | None = None
    invitation: BookingId | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UpdateBooking:
    """Move a booking to a free time."""

    booking_id: BookingId
    timeslot: Timeslot
    subject_of_care: SubjectOfCare
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CancelBooking:
    """
    Give a booked time back.

    Attributes:
        message: What the resident says to the unit; only where the booking permits it.
    """

    unit: HsaId
    booking_id: BookingId
    actor: Actor
    message: str | None = None
