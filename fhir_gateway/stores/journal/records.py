"""
What the journal returns and raises: bookings, write intents, and conflicts.

    Conflict (model.errors)
    ├── AlreadyBooked      the same resident holds that time already
    ├── BookingIdTaken     the region's id belongs to another booking
    ├── HoldOver           the hold has ended, or was never a hold
    ├── LostIntent         another process has sent or settled the intent
    └── TooManyHolds       the resident has as many holds as allowed
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import ClassVar, Final

from fhir_gateway.model.booking import BookingPermissions, CancellationReason
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Conflict, Party, TimeslotTaken
from fhir_gateway.model.grant import BookingOwner
from fhir_gateway.model.ids import BookingId, SourceName
from fhir_gateway.model.interaction import Actor, Asker
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
    "timeslot_taken",
]


class BookingState(Enum):
    """
    The state of a booking.

    PENDING is held, or its write is not settled. CANCELLED was booked, or held and
    released. The others are void, and no list shows them:

    REFUSED: the region refused it. NOT_MADE: the write never reached the region, or
    left no trace there. LAPSED: the hold expired. REPLACED: another record of the same
    booking replaces it.
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
    """What a write does at the region."""

    MAKE = "MAKE"
    UPDATE = "UPDATE"
    CANCEL = "CANCEL"


class WriteState(Enum):
    """
    The state of a write intent.

    CLAIMED: not sent yet. SENT: may have been sent. UNKNOWN: was sent, and the outcome
    is not known. DONE, REFUSED and NOT_DONE are final: a NOT_DONE write never reached
    the region, or the unit itself says that it did nothing. LEFT_NO_TRACE: was sent,
    and its source shows no trace of it; if it appears later, it is SENT again.
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

    OVERDUE: the outcome has been unknown for ten minutes. AMBIGUOUS: the source lists
    something that may or may not be the booking. BEGUN: the time has begun, and the
    source need not list it any more. SOMETHING_ELSE: the region confirmed something
    else. DUPLICATE: the region has the booking twice. CONTRADICTED: the write was
    settled as not done, and was done or sent.
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
        version: 1 at first; grows by one at each change that a client can see.
        timeslot: Its time; `count` has no meaning here and is 1.
        booking_id: The region's id, where it is known.
        subject: The resident; None for a booking made elsewhere, of which only the
            number is known.
        message: The region's own text, which must be shown.
        cancellation: Why it was cancelled, where a client of this server cancelled it
            and gave a reason.
        confirmed_at: When its source last confirmed it, if ever.
        maker: `Principal.key` of who made it here, where that is known.
        actor: Who asked for the last write to it, where that was not the resident.
    """

    id: str
    version: int
    state: BookingState
    source: SourceName
    timeslot: Timeslot
    booking_id: BookingId | None = field(repr=False)
    number: PersonalIdentityNumber
    subject: SubjectOfCare | None
    permissions: BookingPermissions
    is_invitation: bool
    message: str | None = field(repr=False)
    created_at: datetime
    updated_at: datetime
    confirmed_at: datetime | None
    cancellation: CancellationReason | None = field(default=None, repr=False)
    maker: str | None = field(default=None, repr=False)
    actor: Actor | None = None

    @property
    def asker(self) -> Asker:
        """Return who asks its source about it."""
        return Asker(
            resident=self.number, actor=self.actor or Actor.resident(self.number)
        )

    def owner(self, *, is_hold: bool) -> BookingOwner:
        """Return what decides who may see it."""
        return BookingOwner(
            number=self.number,
            unit=self.timeslot.schedule.unit,
            maker=self.maker,
            is_hold=is_hold,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteIntent:
    """
    A write to a region, and its state.

    It is a snapshot: a method that gets an outdated one raises `LostIntent`.

    Attributes:
        booking: Our own id of the booking it changes.
        fence: Grows each time the intent changes hands; an older one changes nothing.
        timeslot: The time to book or to move to; None for CANCEL.
        sent_at: When it may first have been sent.
        attempts: How many looks for its outcome had no result.
        held_until: Until when it holds its time; None when it is not a hold.
        is_lapsed: The hold had expired, by the database's clock, when this was read.
        unchanged_at: Since when its source shows no trace of it; None before a look.
        yes_at: When the region said yes, if its list did not confirm that.
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
    yes_at: datetime | None
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
    The region's id belongs to another booking here, of another person or time.

    The region's answer cannot be about this booking. Nothing was changed.
    """

    default_party: ClassVar[Party] = Party.REGION


class HoldOver(Conflict):
    """
    The hold has expired, was released, or has been booked: hold or book again.
    """

    default_error_code: ClassVar[ErrorCode | None] = ErrorCode.HOLD_IS_OVER


class LostIntent(Conflict):
    """
    Another process has sent or settled the intent; nothing was changed.

    Read the booking before you continue.
    """

    default_party: ClassVar[Party] = Party.GATEWAY


def timeslot_taken(source: SourceName) -> TimeslotTaken:
    """
    Return the error for a time of which every place is claimed here.

    It is also true where the same resident has the place. So a caller who may not see
    that resident's bookings learns nothing of them.
    """
    return TimeslotTaken(
        "The time is taken already; choose another.", source=source, party=Party.CLIENT
    )


class TooManyHolds(Conflict):
    """The resident has as many holds as allowed: release or book one of them."""

    default_error_code: ClassVar[ErrorCode | None] = ErrorCode.TOO_MANY_HOLDS
