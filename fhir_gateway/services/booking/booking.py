"""
Booking: claim a place, commit the intent, send it once, settle it in the journal.

While an outcome is unknown, the booking is pending and its time stays locked; reading
the source finds the outcome. No write is sent twice. It has over 400 lines, since it is
the one door to these steps, and documents each.
"""

from contextlib import AbstractContextManager
from datetime import timedelta

from fhir_gateway.model.booking import (
    CancellationReason,
    ManagedBooking,
)
from fhir_gateway.model.client_request import RepeatedRequest, RequestKey
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import (
    Conflict,
    Incorrect,
    Refused,
    Unavailable,
)
from fhir_gateway.model.grant import BookingOwner, Grant
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.booking.bulkhead import Bulkhead, Permit
from fhir_gateway.services.booking.changing import Changing
from fhir_gateway.services.booking.claiming import Claiming
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.holding import LONGEST_HOLD, Holding, HoldRequest
from fhir_gateway.services.booking.invitations import Invitations
from fhir_gateway.services.booking.invited_times import InvitedTimesSearch
from fhir_gateway.services.booking.making import Making
from fhir_gateway.services.booking.read_back import ReadBack
from fhir_gateway.services.booking.request import (
    BookedTimeslot,
    BookingRequest,
    MoveRequest,
)
from fhir_gateway.services.booking.search_notice import SearchNotice
from fhir_gateway.services.booking.sending import Sending
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.source.invitation_access import InvitationAccess
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    BookingState,
    HoldOver,
    Journal,
)

__all__ = ["BookingService"]


class BookingService:
    """
    Books, reads, moves and cancels.

    Args:
        access: The sources.
        journal: Where write intents are stored.
        read_back: Reads bookings at their sources.
        settlement: Finds the outcome of a write.
        bulkhead: Keeps a slow source from delaying other sources' bookings.
        search_notice: Makes searches follow what is claimed and released here.
        clock: Returns the time.

    Attributes:
        current: Reads the present state of bookings.
        invited: Asks sources about open invitations.
        invitations: Reads open invitations.
        invited_times: Searches for the free times of invitations.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        read_back: ReadBack,
        settlement: Settlement,
        bulkhead: Bulkhead,
        *,
        search_notice: SearchNotice,
        clock: Clock = now,
    ) -> None:
        self._bulkhead = bulkhead
        self._search_notice = search_notice
        self._access = access
        self._journal = journal
        self.current = CurrentBookings(journal, read_back, settlement)
        self.invited = InvitationAccess(access)
        self.invitations = Invitations(access, self.invited, journal, settlement)
        self.invited_times = InvitedTimesSearch(access, self.invited, clock=clock)
        claiming = Claiming(access, self.invited, journal)
        sending = Sending(access, journal, read_back, settlement, clock=clock)
        self._holding = Holding(access, journal, claiming, clock=clock)
        self._making = Making(
            access,
            journal,
            claiming,
            sending,
            self.current,
            invited=self.invited,
            invitations=self.invitations,
            clock=clock,
        )
        self._changing = Changing(
            access,
            journal,
            claiming,
            sending,
            self.current,
            holding=self._holding,
            clock=clock,
        )

    def book(self, request: BookingRequest) -> BookedTimeslot:
        """
        Book a free time; searches leave it out as soon as its place is claimed.

        Args:
            request: Which time, and for which resident.

        Returns:
            The booking: booked, or pending while the outcome is unknown.

        Raises:
            Incorrect: There is no such time, it is past, or
                the reason is too long for the region.
            TimeslotTaken: Somebody else has it, or the source no longer lists it.
            Refused: The region said no.
            Unavailable: The source could not be asked; nothing was sent.
            Busy: Too many bookings wait for the source already; nothing was sent.
        """
        source = self._access.source_of(request.token)
        show_changed_places = self._search_notice.show_changed_places
        try:
            with self._bulkhead.admit(source, waits=request.waits) as permit:
                booked = self._making.book(
                    permit, source, request, meanwhile=show_changed_places
                )
        except (Refused, Unavailable):
            # The claim has been released.
            show_changed_places()
            raise
        if not booked.is_new:
            # Another process may have claimed it, or it is the resident's own hold.
            show_changed_places()
        return booked

    def take_up(
        self, invitation: OpenInvitation, request: BookingRequest
    ) -> BookedTimeslot:
        """
        Book a free time for an open invitation; the booking has the invitation's id.

        Args:
            invitation: The invitation, read just now.
            request: Which time, and the resident with a name.

        Raises:
            Incorrect: It is for another time type, the time is past, or the reason is
                too long for the region.
            Forbidden: The region does not list the unit for it.
            Conflict: It is booked, being booked, or has been taken back.
            TimeslotTaken: Somebody else has the time, or the source does not list it
                for the invitation.
            Refused: The region said no; the invitation is still open.
            Unavailable: The source could not be asked; nothing was sent.
            Busy: Too many bookings wait for the source already; nothing was sent.
        """
        source = self._access.source(invitation.source)
        show_changed_places = self._search_notice.show_changed_places
        try:
            with self._bulkhead.admit(source, waits=request.waits) as permit:
                return self._making.take_up(
                    permit, source, request, invitation, meanwhile=show_changed_places
                )
        except (Refused, Conflict, Unavailable):
            # The claim has been released.
            show_changed_places()
            raise

    def hold(self, request: HoldRequest) -> ManagedBooking:
        """
        Hold a free time for a few minutes; the hold binds this server's clients only.

        Returns:
            The booking, pending, with `held_until`. If the same resident holds the
            time already, that hold, with its own end.

        Raises:
            Incorrect: There is no such time, it is past, or it cannot be held for so
                long.
            AlreadyBooked: The resident has booked that time already.
            TimeslotTaken: Somebody else has it, or the source no longer lists it.
            TooManyHolds: The resident holds two other times.
            Unavailable: The source could not be asked.
        """
        held = self.current.describe(self._holding.hold(request))
        self._search_notice.show_changed_places()
        return held

    def renew(
        self, booking: str, grant: Grant, *, lasts: timedelta = LONGEST_HOLD
    ) -> ManagedBooking:
        """
        Extend a hold to that long from now, up to a quarter of an hour in all.

        Args:
            booking: Our id of the hold.
            grant: Who asks.
            lasts: How long, from now.

        Raises:
            NotFound: There is no booking of that id, or not of that resident.
            HoldOver: It has expired, or is not a hold any more.
            Incorrect: It cannot be held for so long.
        """
        grant.check_subject(self._journal.lookups.get(booking).number)
        return self.current.describe(self._holding.renew(booking, grant, lasts=lasts))

    def release(
        self, booking: str, grant: Grant, *, reason: CancellationReason | None = None
    ) -> ManagedBooking:
        """
        End a hold. A hold that is released or expired already stays as it is.

        Args:
            booking: Our id of the hold.
            grant: Who asks.
            reason: The client's reason; no unit gets it, since none knows of the hold.

        Raises:
            NotFound: There is no booking of that id.
            HoldOver: It is booked, or a booking of it is under way: cancel that.
        """
        grant.check_subject(self._journal.lookups.get(booking).number)
        released = self.current.describe(self._holding.release(booking, reason=reason))
        self._search_notice.show_changed_places()
        return released

    def book_held(
        self,
        booking: str,
        grant: Grant,
        *,
        subject: SubjectOfCare | None = None,
        reason: str | None = None,
        request: RequestKey | None = None,
        waits: timedelta | None = None,
    ) -> BookedTimeslot:
        """
        Book a held time.

        If the hold has expired, the time is booked anew, under a new id, if it is still
        free. If the hold has been booked already, its booking is returned.

        Args:
            booking: Our id of the hold.
            grant: Who books.
            subject: The resident with a name, if the hold has none.
            reason: The resident's text to the unit.
            request: The client's key of this request.
            waits: As in a BookingRequest.

        Raises:
            NotFound: There is no booking of that id.
            Incorrect: The name is missing, or another person's, or the time is past.
            HoldOver: It was released.
            TimeslotTaken: Somebody else has it, or the source no longer lists it.
            Refused: The region said no.
            Unavailable: The source could not be asked; nothing was sent.
        """
        record = self._journal.lookups.get(booking)
        grant.check_subject(record.number)
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
            grant=grant,
            reason=reason,
            request=request,
        )
        source = self._access.source(record.source)
        with self._bulkhead.admit(source, waits=waits) as permit:
            booked = self._making.book_own(
                permit, booking, wanted
            ) or self._making.book(permit, source, wanted)
        self._search_notice.show_changed_places()
        return booked

    def find_owner(self, booking: str) -> BookingOwner | None:
        """
        Return what decides who may see a booking or an open invitation.

        None: there is none of that id. No source is asked.
        """
        return self.invitations.find_owner(booking) or self._journal.lookups.find_owner(
            booking
        )

    def find_hold(self, number: PersonalIdentityNumber, token: str) -> str | None:
        """Return the id of a resident's hold of a timeslot; None without one."""
        booking = self._journal.lookups.find_standing(number, token)
        intent = (
            None if booking is None else self._journal.lookups.find_pending(booking)
        )
        is_hold = intent is not None and intent.held_until is not None
        return booking if is_hold else None

    def find_at(self, token: TimeslotToken) -> tuple[str, ...]:
        """Return our ids of everybody's bookings of a timeslot that were made here."""
        return self._journal.lookups.ids_at(token)

    def find_by_region_id(
        self, source: SourceName, unit: HsaId, booking_id: BookingId
    ) -> str | None:
        """
        Return our id of anybody's booking with that id of its unit; None without.

        It may be an open invitation.
        """
        record = self._journal.lookups.find_by_booking_id(source, unit, booking_id)
        if record is not None and record.state is not BookingState.CANCELLED:
            return record.id
        invitation = self._journal.invitations.find_by_booking_id(
            source, unit, booking_id
        )
        if invitation is not None:
            return invitation.id
        return None if record is None else record.id

    def read(self, booking: str, grant: Grant) -> ManagedBooking:
        """
        Return a booking in its present state at its source.

        If the source cannot be asked, it is returned in its last known state.

        Args:
            booking: Our id of the booking.
            grant: Who asks.

        Raises:
            NotFound: There is no booking of that id, or not of that resident.
        """
        return self.current.read(booking, grant)

    def last_known(self, booking: str, grant: Grant) -> ManagedBooking:
        """
        Return a booking in its last known state, without asking its source.

        Raises:
            NotFound: There is no booking of that id, or not of that resident.
        """
        record = self._journal.lookups.get(booking)
        grant.check_subject(record.number)
        return self.current.describe_last_known(record)

    def read_for_repeat(self, booking: str, grant: Grant) -> ManagedBooking:
        """
        Return a booking, to see whether the answer that a repeat gets still holds.

        It is read at its source for a principal that may read it, and otherwise
        returned in its last known state.

        Raises:
            NotFound: There is no booking of that id, or not of that resident.
        """
        if grant.may_read:
            return self.read(booking, grant)
        record = self._journal.lookups.get(booking)
        grant.check_subject(record.number)
        return self.current.describe_last_known(record)

    def get_subject(self, booking: str) -> SubjectOfCare | None:
        """
        Return the resident of a booking, with the name given when it was made here.

        None for a booking made elsewhere: regions give the number alone.

        Raises:
            NotFound: There is no booking of that id.
        """
        return self._journal.lookups.get(booking).subject

    def move(
        self, booking: str, request: MoveRequest, *, version: int | None = None
    ) -> ManagedBooking:
        """
        Move a booking to another time; it keeps the old time until the new one is sure.

        Args:
            booking: Our id of the booking.
            request: The new time.
            version: The version that the client has read; None accepts any.

        Raises:
            NotFound: There is no such booking.
            Incorrect: There is no such time, it is past, or the names are missing.
            Conflict: It is not booked, or has changed since the client read it.
            Forbidden: It may not be moved, or not there.
            MalformedAnswer: The source's permission cannot be read.
            TimeslotTaken: Somebody else has the time.
            Refused: The region said no; the booking keeps its old time.
            Unavailable: The source could not be asked; it keeps its old time.
        """
        with self._admit(booking, request.waits) as permit:
            moved = self._changing.move(permit, booking, request, version)
        self._search_notice.show_changed_places()
        return moved

    def cancel(
        self,
        booking: str,
        grant: Grant,
        *,
        reason: CancellationReason | None = None,
        version: int | None = None,
        request: RequestKey | None = None,
        waits: timedelta | None = None,
    ) -> ManagedBooking:
        """
        Cancel a booking. A booking that is cancelled already stays as it is.

        If a cancellation is under way, or has an unknown outcome, the booking is
        returned as pending: it is not cancelled twice.

        Args:
            booking: Our id of the booking.
            grant: Who cancels.
            reason: The client's reason; the unit gets its text, where it permits that.
            version: The version that the client has read; None accepts any.
            request: The client's key of this request.
            waits: As in a BookingRequest.

        Raises:
            NotFound: There is no such booking.
            Conflict: It has changed since the client read it.
            Forbidden: It may not be cancelled, or takes no message.
            MalformedAnswer: The source's permission cannot be read.
            Refused: The region said no.
            Unavailable: The source could not be asked; it is still booked.
        """
        with self._admit(booking, waits) as permit:
            cancelled = self._changing.cancel(
                permit,
                booking,
                grant=grant,
                reason=reason,
                version=version,
                request=request,
            )
        self._search_notice.show_changed_places()
        return cancelled

    def replay(self, repeated: RepeatedRequest, grant: Grant) -> ManagedBooking:
        """
        Return the booking of an earlier request, in its present state.

        Args:
            repeated: The journal's error for its key.
            grant: Who asks.

        Raises:
            Refused: The region refused the request.
            Conflict: It certainly had no effect, or its booking has been cancelled.
            NotFound: Its data have been wiped.
        """
        return self.current.replay(repeated, grant)

    def _admit(
        self, booking: str, waits: timedelta | None
    ) -> AbstractContextManager[Permit]:
        record = self._journal.lookups.get(booking)
        source = self._access.source(record.source)
        return self._bulkhead.admit(source, waits=waits)
