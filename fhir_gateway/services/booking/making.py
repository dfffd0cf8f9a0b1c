"""
Making bookings: of a free time, or of one that the resident holds.
"""

from collections.abc import Callable

from fhir_gateway.model.booking import (
    BookingStatus,
)
from fhir_gateway.model.errors import (
    Conflict,
    GatewayError,
    Refused,
    TimeslotTaken,
)
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.scheduling import MakeBooking
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.booking.bulkhead import Permit
from fhir_gateway.services.booking.carrying_out import carry_out
from fhir_gateway.services.booking.claiming import Claiming, check_start
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.recording import Sent
from fhir_gateway.services.booking.request import (
    BookedTimeslot,
    BookingRequest,
)
from fhir_gateway.services.booking.sending import Sending
from fhir_gateway.services.booking.write_checks import (
    check_reason,
    target_of,
)
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    BookingState,
    HoldOver,
    Journal,
    WriteIntent,
)

__all__ = ["Making"]


class Making:
    """
    Books times. What it raises is what `BookingService.book` says.

    Args:
        access: The sources.
        journal: Where write intents are kept.
        claiming: Finds a place.
        sending: Sends writes.
        current: How bookings stand now.
        clock: Tells the time.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        claiming: Claiming,
        sending: Sending,
        current: CurrentBookings,
        *,
        clock: Clock,
    ) -> None:
        self._access = access
        self._journal = journal
        self._claiming = claiming
        self._sending = sending
        self._current = current
        self._clock = clock

    def book(
        self,
        permit: Permit,
        source: Source,
        request: BookingRequest,
        meanwhile: Callable[[], None] | None = None,
    ) -> BookedTimeslot:
        """
        Book a free time, as `BookingService.book` says.

        Args:
            permit: Lets its source be asked.
            source: Where the time is.
            request: Which time, and for whom.
            meanwhile: Is called once a place has been claimed, while the region is
                being asked.
        """
        check_start(request.token, self._clock)
        check_reason(source, request.reason)
        own = self._find_own(request.subject.number, request.token)
        if (
            own is not None
            and (booked := self.book_own(permit, own, request)) is not None
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
            own = self._find_own(request.subject.number, request.token)
            if own is not None and (booked := self.book_own(permit, own, request)):
                return booked
            raise
        except AlreadyBooked as error:
            booked = self.book_own(permit, error.booking, request)
            if booked is None:
                raise Conflict(
                    "Another request for the same time has just failed; try again.",
                    source=source.name,
                ) from error
            return booked
        return self._send(
            permit, source, intent, target_of(intent), request, meanwhile=meanwhile
        )

    def book_own(
        self, permit: Permit, booking: str, request: BookingRequest
    ) -> BookedTimeslot | None:
        """
        Return what is booked of a resident's own record of the time asked for.

        A hold is booked now; None when nothing of it stands any more.
        """
        intent = self._journal.lookups.find_pending(booking)
        if intent is not None and intent.held_until is not None:
            return (
                None if intent.is_lapsed else self._book_hold(permit, intent, request)
            )
        record, details = self._current.refresh(booking)
        if record.state not in (BookingState.PENDING, BookingState.BOOKED):
            return None
        managed = self._current.describe(record, details)
        if managed.status is BookingStatus.CANCELLED:
            # It ended while it was looked at.
            return None
        return BookedTimeslot(booking=managed, is_new=False)

    def _book_hold(
        self, permit: Permit, hold: WriteIntent, request: BookingRequest
    ) -> BookedTimeslot | None:
        source = self._access.source_of(request.token)
        check_start(request.token, self._clock)
        check_reason(source, request.reason)
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
            return self.book_own(permit, hold.booking, request)
        return self._send(permit, source, intent, timeslot, request)

    def _send(
        self,
        permit: Permit,
        source: Source,
        intent: WriteIntent,
        timeslot: Timeslot,
        request: BookingRequest,
        *,
        meanwhile: Callable[[], None] | None = None,
    ) -> BookedTimeslot:
        booking = MakeBooking(
            timeslot=timeslot, subject_of_care=request.subject, reason=request.reason
        )

        def make() -> Sent:
            try:
                return self._sending.make(source, intent, booking)
            except Refused as error:
                self._raise_if_taken(timeslot, request.subject, error)
                raise

        made = carry_out(
            self._current,
            permit,
            intent,
            make,
            reason=request.reason,
            meanwhile=meanwhile,
        )
        return BookedTimeslot(booking=made, is_new=True)

    def _raise_if_taken(
        self, timeslot: Timeslot, subject: SubjectOfCare, refusal: Refused
    ) -> None:
        """
        Raise TimeslotTaken when a refused time is gone.

        The contract's ERROR has no code, only a text; whether the time is still listed
        is the one thing that sets "taken" apart from a rule of the region's.
        """
        try:
            listed = self._access.is_listed(timeslot, subject.number)
        except GatewayError:
            return
        if not listed:
            raise TimeslotTaken(refusal.message, source=refusal.source) from refusal

    def _find_own(
        self, number: PersonalIdentityNumber, token: TimeslotToken
    ) -> str | None:
        """
        Return our id of the booking by which a resident holds a time already.

        A client that lost our answer asks again; the time is theirs, not taken.
        """
        return self._journal.lookups.find_standing(number, token.text)
