"""
A booked time, what it permits, and what a region answers to a write.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    HsaId,
    LogicalAddress,
    PerformerId,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timeslot import Schedule, Timeslot

__all__ = [
    "BookedTimes",
    "Booking",
    "BookingPermissions",
    "BookingStatus",
    "ManagedBooking",
    "ResultCode",
    "WriteResult",
]


class ResultCode(Enum):
    """What a region answers to a write (crm:scheduling 1.1, `ResultCodeEnum`)."""

    OK = "OK"
    INFO = "INFO"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """
    A region's answer to MakeBooking, UpdateBooking or CancelBooking.

    OK and INFO both mean done; the text of INFO and ERROR must be shown.
    """

    code: ResultCode
    text: str | None = None
    booking_id: BookingId | None = None

    @property
    def is_done(self) -> bool:
        """Return whether the region did what it was asked."""
        return self.code is not ResultCode.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingPermissions:
    """What the region lets the resident do with a booking; absent means no."""

    cancel: bool = False
    rebook: bool = False
    message: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """
    A booked time or an invitation (`kallelse`) as its source describes it.

    An open invitation has neither start nor end.

    Attributes:
        purpose: What the unit says of it, as plain text.
        reason: What the resident wrote when booking.
    """

    unit: HsaId
    booking_id: BookingId | None
    start: datetime | None
    end: datetime | None
    subject_of_care: PersonalIdentityNumber | None = None
    time_type_id: TimeTypeId | None = None
    time_type_name: str | None = None
    performer: PerformerId | None = None
    performer_name: str | None = None
    resource_id: ResourceId | None = None
    resource_name: str | None = None
    care_type_id: CareTypeId | None = None
    care_type_name: str | None = None
    purpose: str | None = None
    reason: str | None = None
    permissions: BookingPermissions = BookingPermissions()
    is_invitation: bool = False

    @property
    def schedule(self) -> Schedule | None:
        """Return whose time it is, where the source says its time type."""
        if self.time_type_id is None:
            return None
        return Schedule(
            unit=self.unit,
            time_type_id=self.time_type_id,
            time_type_name=self.time_type_name or self.time_type_id,
            performer=self.performer,
            performer_name=self.performer_name,
            resource_id=self.resource_id,
            resource_name=self.resource_name,
            care_type_id=self.care_type_id,
            care_type_name=self.care_type_name,
        )


class BookingStatus(Enum):
    """
    How a booking stands, as far as anybody can know.

    PENDING: it is only held, and `held_until` says how long; or a write was sent, its
    outcome is unknown, and it will be found out.
    """

    PENDING = "pending"
    BOOKED = "booked"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ManagedBooking:
    """
    A booking that this server has an id for: its own, or one that a source told of.

    Attributes:
        id: Our own id.
        version: One more at each change that a client can see.
        booking_id: The region's id, where it is known.
        message: The region's own text in its answer to a write; it must be shown.
        purpose: What the unit says of the booking.
        reason: What the resident wrote.
        confirmed_at: When the source last said that it stands, if ever.
        held_until: Until when it is held, while it is not more than that.
        is_offered_again: Whether its source offers its time again, just after it was
            cancelled; None when that was not looked for, or could not be.
    """

    id: str
    version: int
    status: BookingStatus
    source: SourceName
    timeslot: Timeslot
    booking_id: BookingId | None
    number: PersonalIdentityNumber
    permissions: BookingPermissions
    is_invitation: bool
    created_at: datetime
    updated_at: datetime
    confirmed_at: datetime | None
    message: str | None = None
    purpose: str | None = None
    reason: str | None = None
    held_until: datetime | None = None
    is_offered_again: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedTimes:
    """
    A source's answer about a resident's booked times.

    Attributes:
        unreadable: What was wrong with the bookings that had to be left out.
        unanswered: The units whose part is missing, where the source aggregates.
    """

    bookings: tuple[Booking, ...]
    unreadable: tuple[str, ...] = ()
    unanswered: tuple[LogicalAddress, ...] = ()
