"""
What the journal returns: bookings, intents, and why a write was not begun.

    Conflict (model.errors)
    ├── AlreadyBooked      the same resident holds that time already
    ├── BookingIdTaken     the region's id belongs to another booking
    ├── LostIntent       somebody else has settled or sent it
    ├── HoldOver           a hold is over, or was never one
    └── TooManyHolds       the resident holds as many times as one may
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import ClassVar, Final

from fhir_gateway.model.booking import BookingPermissions, CancellationReason
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Conflict, Party
from fhir_gateway.model.ids import BookingId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timeslot import Timeslot

__all__ = [
    "Alarm",
    "AlreadyBooked",
    "BookingIdTaken",
    "BookingRecord",
    "BookingState",
    "HoldOver",
    "LostIntent",
    "TooManyHolds",
    "WriteIntent",
    "WriteKind",
    "WriteState",
]


class BookingState(Enum):
    """
    Where a booking stands.

    PENDING is held, or on its way. CANCELLED was booked, or held and released. The
    others are void, and no list has them:

    REFUSED: the region said no. NOT_MADE: the write never reached the region, or left
    no trace there. LAPSED: it was held, and the hold ran out. REPLACED: another record
    of the same booking stands instead.
    """

    PENDING = "PENDING"
    BOOKED = "BOOKED"
    CANCELLED = "CANCELLED"
    REFUSED = "REFUSED"
    NOT_MADE = "NOT_MADE"
    LAPSED = "LAPSED"
    REPLACED = "REPLACED"

    @property
    def is_void(self) -> bool:
        """Return whether nothing is booked or held under its id."""
        return self in _VOID


_VOID: Final = frozenset(
    {
        BookingState.REFUSED,
        BookingState.NOT_MADE,
        BookingState.LAPSED,
        BookingState.REPLACED,
    }
)


class WriteKind(Enum):
    """Which write was decided."""

    MAKE = "MAKE"
    UPDATE = "UPDATE"
    CANCEL = "CANCEL"


class WriteState(Enum):
    """
    How far a write has come.

    CLAIMED may be sent; SENT may have been; UNKNOWN was, and nobody knows the outcome.
    DONE, REFUSED and NOT_DONE are certain and never change again: a write that is
    NOT_DONE never reached the region, or the unit itself says so. LEFT_NO_TRACE was
    sent, and its source shows nothing of it; should it turn up later, it is SENT again.
    """

    CLAIMED = "CLAIMED"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    DONE = "DONE"
    REFUSED = "REFUSED"
    NOT_DONE = "NOT_DONE"
    LEFT_NO_TRACE = "LEFT_NO_TRACE"


class Alarm(Enum):
    """
    Why a write needs manual follow-up; docs/booking.md says what to do.

    OVERDUE: nobody has found out for ten minutes. AMBIGUOUS: the source shows something
    that may or may not be it. BEGUN: its time has begun, so that the source need say
    no more. SOMETHING_ELSE: the region said yes to something else. DUPLICATE: the
    region has done it twice. CONTRADICTED: it was settled as not done, and was done.
    """

    OVERDUE = "OVERDUE"
    AMBIGUOUS = "AMBIGUOUS"
    BEGUN = "BEGUN"
    SOMETHING_ELSE = "SOMETHING_ELSE"
    DUPLICATE = "DUPLICATE"
    CONTRADICTED = "CONTRADICTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingRecord:
    """
    A booking as this server knows it.

    Attributes:
        id: Our own id, and the Appointment's.
        version: 1 at first, one more at each change that a client can see.
        timeslot: Its time; `count` means nothing here and is 1.
        booking_id: The region's id, where it is known.
        subject: The resident; None for a booking made elsewhere, of which only the
            number is known.
        message: The region's own text, which must be shown.
        cancellation: Why it was cancelled, where it was cancelled here and that was
            said.
        confirmed_at: When its source last said that it stands, if ever.
    """

    id: str
    version: int
    state: BookingState
    source: SourceName
    timeslot: Timeslot
    booking_id: BookingId | None
    number: PersonalIdentityNumber
    subject: SubjectOfCare | None
    permissions: BookingPermissions
    is_invitation: bool
    message: str | None = field(repr=False)
    created_at: datetime
    updated_at: datetime
    confirmed_at: datetime | None
    cancellation: CancellationReason | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteIntent:
    """
    A write to a region: what was decided, and how far it has come.

    It is a snapshot; who acts on one that has been overtaken gets `LostIntent`.

    Attributes:
        booking: Our own id of the booking it concerns.
        fence: One more each time it is sent; a stale one opens nothing.
        timeslot: The time to book or to move to; None for CANCEL.
        sent_at: When it may first have been sent.
        attempts: How many times its outcome has been looked for in vain.
        held_until: Until when it only holds its time; None when it is more than that.
        is_lapsed: That was over, by the database's clock, when this was read.
        unchanged_at: Since when its source shows no trace of it; None before a look.
        alarm: Why it needs manual follow-up; None when it needs none.
        message: The region's own text when it refused.
    """

    id: str
    booking: str
    kind: WriteKind
    state: WriteState
    fence: int
    timeslot: Timeslot | None
    sent_at: datetime | None
    attempts: int
    held_until: datetime | None
    is_lapsed: bool
    unchanged_at: datetime | None
    alarm: Alarm | None
    message: str | None = field(repr=False)


class AlreadyBooked(Conflict):
    """
    The same resident holds that time already, through this server.

    Args:
        booking: Our own id of the booking that holds it; it may still be pending.
    """

    default_error_code: ClassVar[ErrorCode | None] = ErrorCode.USER_IS_ALREADY_OCCUPIED

    def __init__(self, booking: str, *, source: SourceName | None = None) -> None:
        super().__init__("The same person already holds that time.", source=source)
        self.booking = booking


class BookingIdTaken(Conflict):
    """
    The region's id belongs to another booking of ours: another person's or time's.

    What the region answered cannot be about this booking. Nothing was changed.
    """

    default_party: ClassVar[Party] = Party.REGION


class HoldOver(Conflict):
    """
    The hold has lasted its time, was released, or has been booked: hold or book anew.
    """

    default_error_code: ClassVar[ErrorCode | None] = ErrorCode.HOLD_IS_OVER


class LostIntent(Conflict):
    """
    Somebody else has sent or settled it; nothing was changed. Look at the booking.
    """

    default_party: ClassVar[Party] = Party.GATEWAY


class TooManyHolds(Conflict):
    """The resident holds as many times as one may: release or book one of them."""

    default_error_code: ClassVar[ErrorCode | None] = ErrorCode.TOO_MANY_HOLDS
