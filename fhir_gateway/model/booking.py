"""
A booked time, what it permits, and what a region answers to a write.
"""

from dataclasses import dataclass, field, replace
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
from fhir_gateway.model.timeslot import NO_TIME_TYPE, Schedule, Timeslot

__all__ = [
    "BookedTimes",
    "Booking",
    "BookingPermissions",
    "BookingStatus",
    "CancellationReason",
    "KeptPart",
    "ManagedBooking",
    "ResultCode",
    "Wish",
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


class Wish(Enum):
    """What a resident may wish to do with a booking."""

    CANCEL = "cancel"
    REBOOK = "rebook"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingPermissions:
    """
    What the region lets the resident do with a booking; absent means no.

    Attributes:
        unreadable: What it says something of that cannot be read; that is false here.
    """

    cancel: bool = False
    rebook: bool = False
    message: bool = False
    unreadable: frozenset[Wish] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """
    A booked time or an invitation (`kallelse`) as its source describes it.

    An open invitation has neither start nor end. Everything but the unit may be
    missing.

    Attributes:
        subject_of_care: None too where the source names a temporary number: whose that
            is, only the source knows.
        purpose: What the unit says of it, as plain text.
        reason: What the resident wrote when booking.
        left_out: Why parts of the description were left out of it, where the answer is
            of this booking alone; a list says that of all of its bookings.
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
    left_out: tuple[str, ...] = field(default=(), compare=False)

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

    @property
    def timeslot(self) -> Timeslot | None:
        """
        Return the time that is booked, as far as it is said; None without a start.

        One without an end ends when it begins.
        """
        if self.start is None:
            return None
        nameless = replace(self, time_type_id=NO_TIME_TYPE, time_type_name=None)
        schedule = self.schedule or nameless.schedule
        if schedule is None:
            return None
        return Timeslot(schedule=schedule, start=self.start, end=self.end or self.start)

    def may_be_of(self, number: PersonalIdentityNumber) -> bool:
        """Return whether it is this resident's, as far as it says."""
        return self.subject_of_care in (None, number)


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
class CancellationReason:
    """
    Why a booking is cancelled, as whoever cancels it says.

    Attributes:
        text: What the unit is told.
        stated: The same in the client's own form, to be given back as it is.
    """

    text: str
    stated: str


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
        cancellation: Why it was cancelled, where it was cancelled here and that was
            said.
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
    cancellation: CancellationReason | None = None
    is_offered_again: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPart:
    """
    A unit's part of an answer that an aggregating service had kept.

    Attributes:
        since: As of when; None when it does not say.
        is_failed: Whether it tried in vain to bring the part up to date.
    """

    unit: LogicalAddress
    since: datetime | None
    is_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedTimes:
    """
    A source's answer about a resident's booked times.

    Attributes:
        unreadable: What was wrong with each booking, or part of one, that had to be
            left out.
        lost_at: When the bookings begin that were left out; None stands for those of
            which not even that can be read.
        unanswered: The units whose part is missing, where the source aggregates.
        kept: The units whose part is not of this moment.
        lost_ids: What the source calls the bookings that were left out, where it says.
        of_others: How many bookings were left out because they are another person's.
        elsewhere: How many were, because they are at units that are not its own.
    """

    bookings: tuple[Booking, ...]
    unreadable: tuple[str, ...] = ()
    lost_at: frozenset[datetime | None] = frozenset()
    lost_ids: frozenset[BookingId] = frozenset()
    unanswered: tuple[LogicalAddress, ...] = ()
    kept: tuple[KeptPart, ...] = ()
    of_others: int = 0
    elsewhere: int = 0

    @property
    def is_whole(self) -> bool:
        """Return whether it has all of the resident's bookings, for certain."""
        return not (self.unreadable or self.lost_at or self.unanswered)

    def may_hide(self, start: datetime, booking_id: BookingId | None = None) -> bool:
        """
        Return whether a booking may be among what is missing.

        Args:
            start: When it begins.
            booking_id: What its source calls it, where that is known.
        """
        return (
            bool(self.unanswered)
            or not self.lost_at.isdisjoint((None, start))
            or booking_id in self.lost_ids
        )
