"""
Making: books a free time, or a time that the resident holds.
"""

from collections.abc import Callable

from fhir_gateway.model.booking import (
    BookingStatus,
)
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    Incorrect,
    Refused,
    TimeslotRefused,
    TimeslotTaken,
)
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.interaction import Asker
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.scheduling import MakeBooking
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken, time_type_token
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.services.booking.bulkhead import Permit
from fhir_gateway.services.booking.carrying_out import carry_out
from fhir_gateway.services.booking.claiming import Claiming, check_start
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.invitations import Invitations
from fhir_gateway.services.booking.recording import WriteOutcome
from fhir_gateway.services.booking.request import (
    BookedTimeslot,
    BookingRequest,
)
from fhir_gateway.services.booking.sending import Sending
from fhir_gateway.services.booking.write_checks import (
    check_ability,
    check_reason,
    target_of,
)
from fhir_gateway.services.source.invitation_access import InvitationAccess
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    BookingState,
    HoldOver,
    Journal,
    WriteIntent,
    timeslot_taken,
)

__all__ = ["Making"]


class Making:
    """
    Books times; raises as `BookingService.book` documents.

    Args:
        access: The sources.
        journal: Where write intents are stored.
        claiming: Claims a place.
        sending: Sends writes.
        current: Reads the present state of bookings.
        invited: Asks sources about open invitations.
        invitations: Reads open invitations.
        clock: Returns the time.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        claiming: Claiming,
        sending: Sending,
        current: CurrentBookings,
        *,
        invited: InvitationAccess,
        invitations: Invitations,
        clock: Clock,
    ) -> None:
        self._access = access
        self._journal = journal
        self._invited = invited
        self._invitations = invitations
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
        Book a free time, as `BookingService.book` documents.

        Args:
            permit: Permits the calls to the source.
            source: The source that lists the time.
            request: Which time, and for which resident.
            meanwhile: Runs while the write is under way; the place is claimed then.
        """
        check_start(request.token, self._clock)
        check_reason(source, request.reason)
        own = self._find_own(request)
        if (
            own is not None
            and (booked := self.book_own(permit, own, request)) is not None
        ):
            return booked
        check_ability(self._access, request.token.unit, UnitAbility.BOOK)
        try:
            intent = self._claiming.claim(
                request.token,
                request.grant.asker,
                lambda timeslot, capacity: self._journal.intents.claim_make(
                    source=source.name,
                    timeslot=timeslot,
                    subject=request.subject,
                    grant=request.grant,
                    capacity=capacity,
                    request=request.request,
                ),
            )
        except TimeslotTaken:
            # Perhaps another request of the same resident has just taken it.
            own = self._find_own(request)
            if own is not None and (booked := self.book_own(permit, own, request)):
                return booked
            raise
        except AlreadyBooked as error:
            if not self._is_covered(error.booking, request.grant):
                raise timeslot_taken(source.name) from error
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

    def take_up(
        self,
        permit: Permit,
        source: Source,
        request: BookingRequest,
        invitation: OpenInvitation,
        meanwhile: Callable[[], None] | None = None,
    ) -> BookedTimeslot:
        """
        Book a free time for an open invitation, as `BookingService.take_up` documents.

        Args:
            permit: Permits the calls to the source.
            source: The invitation's source.
            request: Which time, and the resident's name.
            invitation: The invitation, read just now.
            meanwhile: Runs while the write is under way; the place is claimed then.
        """
        token = request.token
        check_start(token, self._clock)
        check_reason(source, request.reason)
        self._check_invited(request, invitation)
        intent = self._claiming.claim_invited(
            token,
            request.grant.asker,
            lambda timeslot, capacity: self._journal.intents.claim_make(
                source=source.name,
                timeslot=timeslot,
                subject=request.subject,
                grant=request.grant,
                capacity=capacity,
                request=request.request,
                invitation=invitation,
            ),
            invitation=invitation,
        )
        return self._send(
            permit,
            source,
            intent,
            target_of(intent),
            request,
            meanwhile=meanwhile,
            invitation=invitation,
        )

    def _check_invited(
        self, request: BookingRequest, invitation: OpenInvitation
    ) -> None:
        """
        Check that an invitation is for a time's time type, and for its unit.

        Raises:
            Forbidden: The region does not list the unit for it.
            Incorrect: It is for another time type.
            Conflict: It is not open any more.
        """
        token, time_type = request.token, invitation.time_type_id
        if (
            time_type is not None
            and time_type_token(token.unit, time_type) != token.time_type
        ):
            raise Incorrect(
                "The invitation is for another time type: choose one of its own slots"
                " (Slot?invitation=).",
                source=invitation.source,
            )
        check_ability(self._access, token.unit, UnitAbility.BOOK)
        units = self._invited.list_units(invitation, request.grant.asker)
        if not units:
            raise Conflict(
                "The region has no unit for this invitation any more: read it again, or"
                " contact the unit.",
                source=invitation.source,
            )
        if token.unit not in units:
            raise Forbidden(
                "The region does not let this invitation be booked at that unit: choose"
                " one of its own slots (Slot?invitation=).",
                source=invitation.source,
                error_code=ErrorCode.APPOINTMENT_IS_NOT_ALLOWED,
            )

    def book_own(
        self, permit: Permit, booking: str, request: BookingRequest
    ) -> BookedTimeslot | None:
        """
        Return the resident's own booking of the time; book it first if it is a hold.

        None: the hold or booking has ended.
        """
        intent = self._journal.lookups.find_pending(booking)
        if intent is not None and intent.held_until is not None:
            return (
                None if intent.is_lapsed else self._book_hold(permit, intent, request)
            )
        record, details = self._current.refresh(booking, request.grant)
        if record.state not in (BookingState.PENDING, BookingState.BOOKED):
            return None
        managed = self._current.describe(record, details)
        if managed.status is BookingStatus.CANCELLED:
            # It ended during this check.
            return None
        return BookedTimeslot(booking=managed, is_new=False)

    def _book_hold(
        self, permit: Permit, hold: WriteIntent, request: BookingRequest
    ) -> BookedTimeslot | None:
        source = self._access.source_of(request.token)
        check_start(request.token, self._clock)
        check_reason(source, request.reason)
        check_ability(self._access, request.token.unit, UnitAbility.BOOK)
        try:
            # Where times have ids, the source may have given it another id by now.
            timeslot = self._access.free_timeslot(request.token, request.grant.asker)
        except TimeslotTaken:
            # The region has given the time to somebody else.
            self._journal.holds.release(hold.booking)
            raise
        try:
            intent = self._journal.holds.convert_to_booking(
                hold.booking,
                subject=request.subject,
                grant=request.grant,
                request=request.request,
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
        invitation: OpenInvitation | None = None,
    ) -> BookedTimeslot:
        booking = MakeBooking(
            timeslot=timeslot,
            subject_of_care=request.subject,
            reason=request.reason,
            invitation=None if invitation is None else invitation.booking_id,
            actor=request.grant.actor,
        )

        def make() -> WriteOutcome:
            try:
                return self._sending.make(source, intent, booking)
            except Refused as error:
                self._raise_if_taken(timeslot, request.grant, error, invitation)
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
        self,
        timeslot: Timeslot,
        grant: Grant,
        refusal: Refused,
        invitation: OpenInvitation | None,
    ) -> None:
        """
        Raise TimeslotTaken if the source no longer lists a refused time.

        The contract's ERROR has a text but no code. Only the list shows whether the
        region refused because the time is taken, or by another rule.

        Raises:
            TimeslotTaken: As above; with the region's words, as the other.
            Conflict: The invitation is not open any more.
        """
        try:
            if invitation is None:
                listed = self._access.is_listed(timeslot, grant.asker)
            else:
                self._check_still_open(invitation, grant, refusal)
                listed = self._is_offered(timeslot, invitation, grant.asker)
        except Conflict:
            raise
        except GatewayError:
            return
        if not listed:
            raise TimeslotRefused(refusal.message, source=refusal.source) from refusal

    def _check_still_open(
        self, invitation: OpenInvitation, grant: Grant, refusal: Refused
    ) -> None:
        present = self._invitations.read(invitation.id, grant)
        if present is None or present.status is not BookingStatus.PROPOSED:
            raise Conflict(refusal.message, source=refusal.source) from refusal

    def _is_offered(
        self, timeslot: Timeslot, invitation: OpenInvitation, asker: Asker
    ) -> bool:
        try:
            self._invited.find_time(
                TimeslotToken.parse(timeslot.token), invitation, asker
            )
        except TimeslotTaken:
            return False
        return True

    def _find_own(self, request: BookingRequest) -> str | None:
        """
        Return our id of the resident's own hold or booking of a time.

        A client that lost the first answer asks again: the time is theirs, not taken.
        To a principal that may not see the booking, the time is taken.
        """
        own = self._journal.lookups.find_standing(
            request.subject.number, request.token.text
        )
        if own is None or not self._is_covered(own, request.grant):
            return None
        return own

    def _is_covered(self, booking: str, grant: Grant) -> bool:
        owner = self._journal.lookups.find_owner(booking)
        return owner is not None and grant.covers(owner)
