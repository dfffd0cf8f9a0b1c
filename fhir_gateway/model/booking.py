"""
A booked time, what it permits, and what a region answers to a write.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Self

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
    "CancelledBy",
    "KeptPart",
    "ManagedBooking",
    "ResultCode",
    "Silence",
    "SilenceCause",
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

    OK and INFO both mean that the region did it; a client must show the text of INFO
    and ERROR.
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
        unreadable: The permissions that the region states in an unreadable way; they
            are false here.
    """

    cancel: bool = False
    rebook: bool = False
    message: bool = False
    unreadable: frozenset[Wish] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """
    A booked time or an invitation (`kallelse`) as its source describes it.

    An open invitation has neither start nor end. Each field but the unit may be
    missing.

    Attributes:
        subject_of_care: None also where the source gives a temporary number: only the
            source knows its holder.
        purpose: The unit's own description of it, as plain text; a `FormattedText`
            where the unit gave it a form.
        reason: What the resident wrote when booking.
        left_out: Why parts of the description are missing here, where the answer is
            about this booking alone; an answer with several bookings states it once for
            all of them.
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
        """Return the time's schedule, where the source states its time type."""
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
        Return the booked time, as far as the source states it; None without a start.

        One without an end ends when it begins.
        """
        if self.start is None:
            return None
        nameless = replace(self, time_type_id=NO_TIME_TYPE, time_type_name=None)
        schedule = self.schedule or nameless.schedule
        if schedule is None:
            return None
        return Timeslot(schedule=schedule, start=self.start, end=self.end or self.start)

    @property
    def is_open_invitation(self) -> bool:
        """Return whether it is an invitation to choose a time, and can be named."""
        return (
            self.is_invitation
            and self.booking_id is not None
            and (self.start, self.end) == (None, None)
        )

    @property
    def invited_to(self) -> Schedule:
        """Return the unit and the kind of visit, also where no time type is stated."""
        return self.schedule or Schedule(
            unit=self.unit, time_type_id=NO_TIME_TYPE, time_type_name=""
        )

    def may_be_of(self, number: PersonalIdentityNumber) -> bool:
        """Return whether it may be this resident's: true also where it names nobody."""
        return self.subject_of_care in (None, number)


class BookingStatus(Enum):
    """
    The status of a booking or an open invitation, as far as anybody can know.

    PROPOSED: an open invitation, which has no time yet.
    PENDING: it is only held, until `held_until`; or a write was sent, its outcome is
        unknown, and reconciliation will find it out.
    """

    PROPOSED = "proposed"
    PENDING = "pending"
    BOOKED = "booked"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CancellationReason:
    """
    The client's reason for a cancellation.

    Attributes:
        text: The text that the unit receives.
        stated: The same as the client wrote it, to be returned unchanged.
    """

    text: str
    stated: str


class CancelledBy(Enum):
    """
    Who cancelled a booking.

    RESIDENT: the resident, or who acts for them, through this server. PROFESSIONAL:
    staff or a region's system, through this server. ELSEWHERE: the unit, or anybody
    through another service; the region lists it no more.
    """

    RESIDENT = "resident"
    PROFESSIONAL = "professional"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ManagedBooking:
    """
    A booking that this server has an id for: made here, or reported by a source.

    Attributes:
        id: Our own id.
        version: It grows by one at each change that a client can see.
        booking_id: The region's id, where it is known.
        message: The region's own text in its answer to a write; a client must show it.
        purpose: The unit's own description of the booking, as in `Booking`.
        reason: What the resident wrote.
        confirmed_at: When the source last confirmed it, if ever.
        held_until: When its hold ends, while it is only held.
        cancellation: The reason, where it was cancelled here and the client gave one.
        cancelled_by: Who cancelled it, where it was booked and is cancelled.
        is_described: Its source has described the visit; otherwise this server does not
            know its purpose and the resident's text, since it stores neither.
        is_offered_again: Whether its source offers its time again just after the
            cancellation; None when nobody looked, or could not.
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
    cancelled_by: CancelledBy | None = None
    is_described: bool = False
    is_offered_again: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPart:
    """
    A unit's part of an answer, from the cache of an aggregating service.

    Attributes:
        since: When the cached part was true; None when the service does not say.
        is_failed: Whether the service tried in vain to update the part.
    """

    unit: LogicalAddress
    since: datetime | None
    is_failed: bool = False


class SilenceCause(Enum):
    """Why an aggregating service has no data of a unit."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    NOT_SUPPORTED = "not-supported"
    NOT_PERMITTED = "not-permitted"
    INDEX_FAILED = "index-failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """
    An aggregating service's report that it has no data of a unit.

    Attributes:
        last_answered_at: When the unit last answered it, where it says so.
    """

    unit: LogicalAddress
    cause: SilenceCause
    last_answered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedTimes:
    """
    A source's answer about a resident's booked times.

    Attributes:
        unreadable: One sentence for each booking, or part of one, that was left out:
            what is wrong with it.
        lost_at: The starts of the bookings that were left out; None stands for those
            with an unreadable start.
        unanswered: The units without a part in the answer, where the source aggregates.
        kept: The units with a part that is not of this moment.
        lost_ids: The source's ids of the bookings that were left out, where it states
            them.
        elsewhere_at: The starts of those that are another person's, or at units of
            another source.
        elsewhere_ids: The source's ids of those.
        of_others: How many bookings were left out because they are another person's.
        elsewhere: How many bookings were left out because they are at units of another
            source.
        answered: The units of which an aggregating service has data; None where the
            source does not aggregate.
        silences: What an aggregating service reports of the units in `unanswered`.
    """

    bookings: tuple[Booking, ...]
    unreadable: tuple[str, ...] = ()
    lost_at: frozenset[datetime | None] = frozenset()
    lost_ids: frozenset[BookingId] = frozenset()
    unanswered: tuple[LogicalAddress, ...] = ()
    kept: tuple[KeptPart, ...] = ()
    elsewhere_at: frozenset[datetime | None] = frozenset()
    elsewhere_ids: frozenset[BookingId] = frozenset()
    of_others: int = 0
    elsewhere: int = 0
    answered: frozenset[LogicalAddress] | None = field(default=None, compare=False)
    silences: tuple[Silence, ...] = field(default=(), compare=False)

    @property
    def is_whole(self) -> bool:
        """Return whether it certainly has all of the resident's bookings."""
        return not (self.unreadable or self.lost_at or self.unanswered)

    def with_silence_of(self, unit: LogicalAddress) -> Self:
        """
        Return the answer of the one unit that was asked, which may not have answered.

        An aggregating service leaves units out that it may not ask, and says nothing of
        them: a unit that it does not name has not answered.
        """
        if self.answered is None or unit.upper() in {
            each.upper() for each in (*self.answered, *self.unanswered)
        }:
            return self
        return replace(self, unanswered=(*self.unanswered, unit))

    def may_hide(self, start: datetime, booking_id: BookingId | None = None) -> bool:
        """
        Return whether a booking may be among what is missing.

        Args:
            start: When it begins.
            booking_id: Its source's id of it, where that is known.
        """
        return (
            bool(self.unanswered)
            or not self.lost_at.isdisjoint((None, start))
            or booking_id in self.lost_ids
        )
