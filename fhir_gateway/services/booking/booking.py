"""
Booking: claim, commit, send once, settle. The journal is the truth of what was done.

What cannot be known yet is said to be pending, keeps its time locked, and is found out
by reading the source; nothing is sent twice.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

import structlog

from fhir_gateway.model.booking import (
    Booking,
    BookingStatus,
    CancellationReason,
    ManagedBooking,
    Wish,
)
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    Incorrect,
    MalformedAnswer,
    Refused,
    Stale,
    TimeslotTaken,
    Unavailable,
)
from fhir_gateway.model.ids import BookingId, SourceName
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.scheduling import CancelBooking, MakeBooking, UpdateBooking
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.booking.bulkhead import Turn, Turns
from fhir_gateway.services.booking.claiming import Claiming, check_start
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.holding import LONGEST_HOLD, Holding, HoldRequest
from fhir_gateway.services.booking.read_back import ReadBack
from fhir_gateway.services.booking.request import (
    BookedTimeslot,
    BookingRequest,
    MoveRequest,
)
from fhir_gateway.services.booking.sending import Sending, Sent, unknown_without_journal
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    BookingRecord,
    BookingState,
    HoldOver,
    Journal,
    RepeatedRequest,
    RequestKey,
    WriteIntent,
    WriteKind,
)

__all__ = ["BookingService"]

_log = structlog.get_logger()


class BookingService:
    """
    Books, reads, moves and cancels.

    Args:
        access: The sources.
        journal: Where intents are kept.
        read_back: Reads bookings at their sources.
        settlement: Finds out how a write went.
        turns: Keeps one source from holding everybody.
        clock: Tells the time.

    Attributes:
        current: How bookings stand now.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        read_back: ReadBack,
        settlement: Settlement,
        turns: Turns,
        *,
        clock: Clock = now,
    ) -> None:
        self._turns = turns
        self._access = access
        self._journal = journal
        self._clock = clock
        self.current = CurrentBookings(journal, read_back, settlement)
        self._claiming = Claiming(access, journal)
        self._sending = Sending(access, journal, read_back, settlement, clock=clock)
        self._holding = Holding(access, journal, self._claiming, clock=clock)

    def book(
        self, request: BookingRequest, *, claimed: Callable[[], None] | None = None
    ) -> BookedTimeslot:
        """
        Book a free time.

        Args:
            request: Which, and for whom.
            claimed: Is called once a place has been claimed, while the region is being
                asked: from then on nobody else is to be offered it.

        Returns:
            The booking: booked, or pending when nobody can know yet.

        Raises:
            Incorrect: There is no such time, it is past, or
                the reason is too long for the region.
            TimeslotTaken: Somebody else has it, or the source no longer lists it.
            Refused: The region said no.
            Unavailable: The source could not be asked; nothing was sent.
            Busy: Enough bookings wait for the source already; nothing was sent.
        """
        source = self._access.source_of(request.token)
        with self._turns.at(source) as turn:
            return self._book(turn, source, request, claimed)

    def _book(
        self,
        turn: Turn,
        source: Source,
        request: BookingRequest,
        claimed: Callable[[], None] | None = None,
    ) -> BookedTimeslot:
        check_start(request.token, self._clock)
        _check_reason(source, request.reason)
        own = self._held_by(request.subject.number, request.token)
        if (
            own is not None
            and (booked := self._booked_of(turn, own, request)) is not None
        ):
            return booked
        try:
            intent = self._claiming.claim(
                request.token,
                request.subject.number,
                lambda timeslot, capacity: self._journal.intents.claim_make(
                    source=source.name,
                    timeslot=timeslot,
                    subject=request.subject,
                    capacity=capacity,
                    request=request.request,
                ),
            )
        except TimeslotTaken:
            # Perhaps by another request of the same resident's, a moment ago.
            own = self._held_by(request.subject.number, request.token)
            if own is not None and (booked := self._booked_of(turn, own, request)):
                return booked
            raise
        except AlreadyBooked as error:
            booked = self._booked_of(turn, error.booking, request)
            if booked is None:
                raise Conflict(
                    "Another request for the same time has just failed; try again.",
                    source=source.name,
                ) from error
            return booked
        return self._sent(
            turn, source, intent, _target(intent), request, claimed=claimed
        )

    def hold(self, request: HoldRequest) -> ManagedBooking:
        """
        Hold a free time for a few minutes; the hold binds this server's clients only.

        Returns:
            The booking, pending, with `held_until`. A time that the same resident
            holds already goes on being held, as long as it was to be.

        Raises:
            Incorrect: There is no such time, it is past, or it cannot be held for so
                long.
            AlreadyBooked: The resident has booked that time already.
            TimeslotTaken: Somebody else has it, or the source no longer lists it.
            TooManyHolds: The resident holds two other times.
            Unavailable: The source could not be asked.
        """
        return self.current.managed(self._holding.hold(request))

    def renew(self, booking: str, *, lasts: timedelta = LONGEST_HOLD) -> ManagedBooking:
        """
        Let a hold last that long from now, up to a quarter of an hour in all.

        Raises:
            NotFound: There is no booking of that id.
            HoldOver: It is over, or no hold any more.
            Incorrect: It cannot be held for so long.
        """
        return self.current.managed(self._holding.renew(booking, lasts=lasts))

    def release(
        self, booking: str, *, reason: CancellationReason | None = None
    ) -> ManagedBooking:
        """
        End a hold; one that has been released, or is over, is returned as it is.

        Args:
            booking: Our id of it.
            reason: Why; no unit is told, since none knows of the hold.

        Raises:
            NotFound: There is no booking of that id.
            HoldOver: It has been booked, or is being booked: it can be cancelled.
        """
        return self.current.managed(self._holding.release(booking, reason=reason))

    def book_held(
        self,
        booking: str,
        *,
        subject: SubjectOfCare | None = None,
        reason: str | None = None,
        request: RequestKey | None = None,
    ) -> BookedTimeslot:
        """
        Book what is held.

        A hold that is over is booked anew, under another id, if the time is still free.
        One that has been booked is returned as it stands.

        Args:
            booking: Our id of the hold.
            subject: The resident with a name, where the hold had none.
            reason: What the resident writes.
            request: What the client calls this request.

        Raises:
            NotFound: There is no booking of that id.
            Incorrect: The name is missing, or another person's, or the time is past.
            HoldOver: It was released.
            TimeslotTaken: Somebody else has it, or the source no longer lists it.
            Refused: The region said no.
            Unavailable: The source could not be asked; nothing was sent.
        """
        record = self._journal.lookups.get(booking)
        subject = subject or record.subject
        if subject is None:
            raise Incorrect(
                "The slot was held without a name: send it as a contained Patient.",
                error_code=ErrorCode.ELEMENT_IS_MISSING,
            )
        if subject.number != record.number:
            raise Incorrect("The slot is held for another person.")
        if record.state is BookingState.CANCELLED:
            raise HoldOver("The hold was released: hold or book the slot anew.")
        wanted = BookingRequest(
            token=TimeslotToken.parse(record.timeslot.token),
            subject=subject,
            reason=reason,
            request=request,
        )
        source = self._access.source(record.source)
        with self._turns.at(source) as turn:
            booked = self._booked_of(turn, booking, wanted)
            return booked or self._book(turn, source, wanted)

    def read(self, booking: str) -> ManagedBooking:
        """
        Return a booking as it stands at its source now.

        When the source cannot be asked it is returned as it was last known.

        Raises:
            NotFound: There is no booking of that id.
        """
        return self.current.read(booking)

    def move(
        self, booking: str, request: MoveRequest, *, version: int | None = None
    ) -> ManagedBooking:
        """
        Move a booking to another free time. The old one stands until the new is sure.

        Args:
            booking: Our id of it.
            request: Where to.
            version: What the client believes it changes; None changes any.

        Raises:
            NotFound: There is no such booking.
            Incorrect: There is no such time, it is past, or the names are missing.
            Conflict: It is not booked, or has changed since the client read it.
            Forbidden: It may not be moved, or not there.
            MalformedAnswer: Whether it may cannot be read of the source's answer.
            TimeslotTaken: Somebody else has the time.
            Refused: The region said no; the old time stands.
            Unavailable: The source could not be asked; the old time stands.
        """
        with self._turn_of(booking) as turn:
            return self._moved(turn, booking, request, version)

    def _moved(
        self, turn: Turn, booking: str, request: MoveRequest, version: int | None
    ) -> ManagedBooking:
        record, details = self.current.record(booking)
        _check_booked(record, version)
        _check_readable(details, Wish.REBOOK, record.source)
        if not record.permissions.rebook:
            raise Forbidden(
                "The region does not let this booking be moved; contact the unit.",
                source=record.source,
                error_code=ErrorCode.UPDATE_APPOINTMENT_IS_NOT_ALLOWED,
            )
        source = self._access.source_of(request.token)
        check_start(request.token, self._clock)
        _check_reason(source, request.reason)
        booking_id = _known_id(record)
        self._check_unit(record, request.token, booking_id)
        subject = request.subject or record.subject
        if subject is None:
            raise Incorrect(
                "The booking was made elsewhere, so the resident's name is not known"
                " here: send it as a contained Patient.",
                error_code=ErrorCode.ELEMENT_IS_MISSING,
            )
        intent = self._claiming.claim(
            request.token,
            record.number,
            lambda timeslot, capacity: self._journal.intents.claim_update(
                record, timeslot, capacity, request=request.request
            ),
            moving=booking_id,
        )
        moved = UpdateBooking(
            booking_id=booking_id,
            timeslot=_target(intent),
            subject_of_care=subject,
            reason=request.reason,
        )
        made = self._carried_out(
            turn, intent, lambda: self._sending.move(source, intent, moved)
        )
        if made.status is BookingStatus.BOOKED and made.timeslot != record.timeslot:
            # Offered again at once, and not only when the source is next asked.
            self._look_for_freed(record.source, record.timeslot, record.number)
        return made

    def cancel(
        self,
        booking: str,
        *,
        reason: CancellationReason | None = None,
        version: int | None = None,
        request: RequestKey | None = None,
    ) -> ManagedBooking:
        """
        Cancel a booking; one that is cancelled already is returned as it is.

        One whose cancellation is on its way, or of unknown outcome, is returned
        pending: it is not cancelled twice.

        Args:
            booking: Our id of it.
            reason: Why; the unit is told its text, where that is permitted.
            version: What the client believes it changes; None changes any.
            request: What the client calls this request.

        Raises:
            NotFound: There is no such booking.
            Conflict: It has changed since the client read it.
            Forbidden: It may not be cancelled, or takes no message.
            MalformedAnswer: Whether it may cannot be read of the source's answer.
            Refused: The region said no.
            Unavailable: The source could not be asked; it stands.
        """
        with self._turn_of(booking) as turn:
            return self._cancelled(
                turn, booking, reason=reason, version=version, request=request
            )

    def _cancelled(
        self,
        turn: Turn,
        booking: str,
        *,
        reason: CancellationReason | None,
        version: int | None,
        request: RequestKey | None,
    ) -> ManagedBooking:
        record, details = self.current.record(booking)
        if record.state is BookingState.CANCELLED:
            return self.current.managed(record)
        intent = self._journal.lookups.find_pending(booking)
        if intent is not None and intent.held_until is not None:
            return self.release(booking, reason=reason)
        if intent is not None and intent.kind is WriteKind.CANCEL:
            return self.current.stands(intent)
        _check_booked(record, version)
        _check_readable(details, Wish.CANCEL, record.source)
        if not record.permissions.cancel:
            raise Forbidden(
                "The region does not let this booking be cancelled; contact the unit.",
                source=record.source,
                error_code=ErrorCode.CANCEL_IS_NOT_ALLOWED,
            )
        if reason is not None:
            _check_readable(details, Wish.MESSAGE, record.source)
        if reason is not None and not record.permissions.message:
            raise Forbidden(
                "This booking takes no message: cancel it without cancelationReason.",
                source=record.source,
                error_code=ErrorCode.CANCEL_IS_NOT_ALLOWED,
            )
        booking_id = _known_id(record)
        source = self._access.source(record.source)
        intent = self._journal.intents.claim_cancel(
            record, reason=reason, request=request
        )
        cancelled = CancelBooking(
            unit=record.timeslot.schedule.unit,
            booking_id=booking_id,
            actor=Actor.resident(record.number),
            message=None if reason is None else reason.text,
        )
        made = self._carried_out(
            turn, intent, lambda: self._sending.cancel(source, intent, cancelled)
        )
        return replace(made, is_offered_again=self._is_offered_again(made))

    def come_of(self, repeated: RepeatedRequest) -> ManagedBooking:
        """
        Return what has come of a request that was made before, as it stands now.

        Raises:
            Refused: The region said no to it.
            Conflict: It is certain by now that nothing came of it.
            NotFound: Its data have been wiped.
        """
        return self.current.come_of(repeated)

    def _booked_of(
        self, turn: Turn, booking: str, request: BookingRequest
    ) -> BookedTimeslot | None:
        """
        Return what is booked of a resident's own record of the time asked for.

        A hold is booked now; None when nothing of it stands any more.
        """
        intent = self._journal.lookups.find_pending(booking)
        if intent is not None and intent.held_until is not None:
            return None if intent.is_lapsed else self._book_hold(turn, intent, request)
        record, details = self.current.record(booking)
        if record.state not in (BookingState.PENDING, BookingState.BOOKED):
            return None
        managed = self.current.managed(record, details)
        if managed.status is BookingStatus.CANCELLED:
            # It has come to nothing while it was looked at.
            return None
        return BookedTimeslot(booking=managed, is_new=False)

    def _book_hold(
        self, turn: Turn, hold: WriteIntent, request: BookingRequest
    ) -> BookedTimeslot | None:
        source = self._access.source_of(request.token)
        check_start(request.token, self._clock)
        _check_reason(source, request.reason)
        try:
            # It may have another id at its source by now, where times have ids.
            timeslot = self._access.free_timeslot(request.token, request.subject.number)
        except TimeslotTaken:
            # The region has given it to somebody else: there is nothing to hold.
            self._journal.holds.release(hold.booking)
            raise
        try:
            intent = self._journal.holds.take(
                hold.booking, subject=request.subject, request=request.request
            )
        except HoldOver:
            return self._booked_of(turn, hold.booking, request)
        return self._sent(turn, source, intent, timeslot, request)

    def _sent(
        self,
        turn: Turn,
        source: Source,
        intent: WriteIntent,
        timeslot: Timeslot,
        request: BookingRequest,
        *,
        claimed: Callable[[], None] | None = None,
    ) -> BookedTimeslot:
        booking = MakeBooking(
            timeslot=timeslot, subject_of_care=request.subject, reason=request.reason
        )

        def make() -> Sent:
            try:
                return self._sending.make(source, intent, booking)
            except Refused as error:
                self._raise_taken(timeslot, request.subject, error)
                raise

        made = self._carried_out(
            turn, intent, make, reason=request.reason, meanwhile=claimed
        )
        return BookedTimeslot(booking=made, is_new=True)

    def _carried_out(
        self,
        turn: Turn,
        intent: WriteIntent,
        write: Callable[[], Sent],
        *,
        reason: str | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> ManagedBooking:
        """Return what a write has come to, or that it is on its way."""
        sent = turn.carry_out(write, meanwhile=meanwhile)
        with unknown_without_journal():
            if sent is not None and sent[1] is not None:
                return self.current.sent(sent[0], sent[1], reason=reason)
            # Its answer may have come just after the wait for it was over.
            return self.current.stands(intent, reason=reason)

    def _turn_of(self, booking: str) -> AbstractContextManager[Turn]:
        record = self._journal.lookups.get(booking)
        return self._turns.at(self._access.source(record.source))

    def _raise_taken(
        self, timeslot: Timeslot, subject: SubjectOfCare, refusal: Refused
    ) -> None:
        """
        Raise TimeslotTaken when a refused time is gone.

        The contract's ERROR has no code, only a text; whether the time is still listed
        is the one thing that tells "taken" from a rule of the region's.
        """
        try:
            listed = self._access.is_listed(timeslot, subject.number)
        except GatewayError:
            return
        if not listed:
            raise TimeslotTaken(refusal.message, source=refusal.source) from refusal

    def _is_offered_again(self, booking: ManagedBooking) -> bool | None:
        """Look for a time that has just been cancelled; None: nobody can know."""
        if booking.status is not BookingStatus.CANCELLED:
            return None
        return self._look_for_freed(booking.source, booking.timeslot, booking.number)

    def _look_for_freed(
        self, source: SourceName, timeslot: Timeslot, number: PersonalIdentityNumber
    ) -> bool | None:
        """Return whether a time that was given up is listed; None: nobody can know."""
        if timeslot.start <= self._clock():
            return None
        try:
            return self._access.is_offered_again(timeslot, number)
        except GatewayError as error:
            _log.info("freed slot not looked for", source=source, error=str(error))
            return None

    def _held_by(
        self, number: PersonalIdentityNumber, token: TimeslotToken
    ) -> str | None:
        """
        Return our id of the booking by which a resident holds a time already.

        A client that lost our answer asks again; the time is theirs, not taken.
        """
        return self._journal.lookups.find_standing(number, token.text)

    def _check_unit(
        self, record: BookingRecord, token: TimeslotToken, booking_id: BookingId
    ) -> None:
        unit = record.timeslot.schedule.unit
        if token.unit == unit:
            return
        if not self._access.can_be_moved_to(
            token.unit,
            source=record.source,
            unit=unit,
            booking_id=booking_id,
            number=record.number,
        ):
            raise Forbidden(
                "The region does not let this booking be moved to that unit: book the"
                " new time, then cancel this one.",
                source=record.source,
                error_code=ErrorCode.UPDATE_APPOINTMENT_IS_NOT_ALLOWED,
            )


def _check_booked(record: BookingRecord, version: int | None) -> None:
    if record.state is not BookingState.BOOKED:
        raise Conflict(
            "The appointment is not booked, so it cannot be changed; read it again.",
            error_code=(
                ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED
                if record.state is BookingState.CANCELLED
                else None
            ),
        )
    if version is not None and version != record.version:
        raise Stale("The appointment has changed since you read it; read it again.")


def _check_readable(details: Booking | None, wish: Wish, source: SourceName) -> None:
    """Check that what the source has said of a wish just now could be read."""
    if details is not None and wish in details.permissions.unreadable:
        raise MalformedAnswer(
            "What the region's answer says about whether this can be done with the"
            " booking could not be read; try again, or contact the unit.",
            element="timeslotDetail",
            source=source,
        )


def _check_reason(source: Source, reason: str | None) -> None:
    if reason is None or source.reason_limit is None:
        return
    if len(reason) > source.reason_limit:
        raise Incorrect(
            f"{source.title} takes at most {source.reason_limit} characters of"
            " comment.",
            source=source.name,
        )


def _target(intent: WriteIntent) -> Timeslot:
    if intent.timeslot is None:
        raise TypeError("a cancellation has no time to book")
    return intent.timeslot


def _known_id(record: BookingRecord) -> BookingId:
    if record.booking_id is None:
        raise Unavailable(
            "The region has not told the booking's id yet; try again in a minute.",
            source=record.source,
        )
    return record.booking_id
