"""
Open invitations: reads them at their sources, and records what happened to each.

No list has them (GetSubjectOfCareSchedule leaves them out): their unit describes each
by its id. A unit that has booked one, or taken it back, describes that, too.
"""

from dataclasses import replace

import structlog

from fhir_gateway.model.booking import Booking, BookingStatus
from fhir_gateway.model.errors import (
    GatewayError,
    MalformedAnswer,
    NotFound,
    SourceFault,
)
from fhir_gateway.model.grant import BookingOwner, Grant
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.source.invitation_access import InvitationAccess
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import BookingIdTaken, Journal

__all__ = ["Invitations"]

_log = structlog.get_logger()


class Invitations:
    """
    Reads and finds open invitations.

    Args:
        access: The sources.
        invited: Asks sources about invitations.
        journal: The invitations that this server knows.
        settlement: Corrects bookings that are wrongly NOT_MADE.
    """

    def __init__(
        self,
        access: SourceAccess,
        invited: InvitationAccess,
        journal: Journal,
        settlement: Settlement,
    ) -> None:
        self._access = access
        self._invited = invited
        self._journal = journal
        self._settlement = settlement

    def find_owner(self, identifier: str) -> BookingOwner | None:
        """Return what decides who may see an open or withdrawn invitation, if any."""
        invitation = self._journal.invitations.find(identifier)
        if invitation is None:
            return None
        return BookingOwner(
            number=invitation.number, unit=invitation.unit, maker=None, is_hold=False
        )

    def read(self, identifier: str, grant: Grant) -> OpenInvitation | None:
        """
        Return an open invitation in its present state at its source.

        If the source cannot be asked, it is returned in its last known state.

        Returns:
            None: There is no open or withdrawn invitation with that id of ours; it may
            have been booked by now.

        Raises:
            NotFound: It is another resident's.
        """
        invitation = self._journal.invitations.find(identifier)
        if invitation is None:
            return None
        grant.check_subject(invitation.number)
        return self._refresh(invitation, grant)

    def last_known(self, identifier: str, grant: Grant) -> OpenInvitation | None:
        """
        Return an open invitation as `read` does, without asking its source.

        Raises:
            NotFound: It is another resident's.
        """
        invitation = self._journal.invitations.find(identifier)
        if invitation is not None:
            grant.check_subject(invitation.number)
        return invitation

    def was_open(self, identifier: str) -> bool:
        """Return whether an Appointment with a time was an open invitation at first."""
        return self._journal.invitations.was_invitation(identifier)

    def list_of(self, grant: Grant) -> tuple[OpenInvitation, ...]:
        """Return the resident's invitations that the principal may see, as known."""
        return tuple(
            each
            for each in self._journal.invitations.list_of_resident(grant.subject)
            if grant.covers(
                BookingOwner(
                    number=each.number, unit=each.unit, maker=None, is_hold=False
                )
            )
        )

    def adopt(
        self, source: SourceName, booking: Booking, grant: Grant
    ) -> OpenInvitation | None:
        """
        Record an open invitation that a source reports; return it.

        None: it is booked by now, or its id belongs to another resident's.
        """
        try:
            found = self._journal.invitations.adopt(
                source,
                booking,
                grant.subject,
                lags_within=self._access.source(source).settles_within,
            )
        except GatewayError as error:
            _log.warning("invitation not recorded", source=source, error=str(error))
            return None
        return None if found is None else _described(found, booking)

    def discover(
        self, source: SourceName, unit: HsaId, booking_id: BookingId, grant: Grant
    ) -> OpenInvitation | None:
        """
        Ask a unit about an id of its own that this server may not know.

        An open invitation of the resident is recorded and returned.

        Args:
            source: The unit's source.
            unit: The unit.
            booking_id: The id, as a notification or the resident states it.
            grant: Who asks; it covers the unit.

        Returns:
            None: The unit has no such open invitation of the resident.

        Raises:
            GatewayError: The unit could not be asked.
        """
        known = self._journal.invitations.find_by_booking_id(source, unit, booking_id)
        if (
            known is not None
            and known.number == grant.subject
            and known.status is BookingStatus.PROPOSED
        ):
            return self._refresh(known, grant)
        try:
            booking = self._access.booking_details(
                source, unit, booking_id, grant.asker
            )
        except (NotFound, MalformedAnswer):
            return None
        # An answer that names nobody could be about anybody.
        if (
            not booking.is_open_invitation
            or booking.subject_of_care != grant.subject
            or booking.unit != unit
        ):
            return None
        return self.adopt(source, booking, grant)

    def _refresh(
        self, invitation: OpenInvitation, grant: Grant
    ) -> OpenInvitation | None:
        if invitation.status is BookingStatus.CANCELLED:
            return invitation
        try:
            booking = self._access.booking_details(
                invitation.source, invitation.unit, invitation.booking_id, grant.asker
            )
        except NotFound:
            return self._withdraw(invitation)
        except GatewayError as error:
            return self._withdraw_if_unknown(invitation, grant, error)
        if booking.is_open_invitation:
            confirmed = self._journal.invitations.confirm(invitation, booking)
            return _described(confirmed, booking)
        if booking.start is not None:
            self._adopt_booking(invitation, booking)
            return self._journal.invitations.find(invitation.id)
        return invitation

    def _adopt_booking(self, invitation: OpenInvitation, booking: Booking) -> None:
        """Record that an invitation has been booked, by another system or here."""
        timeslot = booking.timeslot
        if timeslot is None:
            return
        source, number = invitation.source, invitation.number
        denied = self._journal.outcomes.find_absent_make(source, number, timeslot)
        if denied is not None and self._settlement.correction.mend_not_made(
            denied, booking
        ):
            return
        try:
            self._journal.reports.adopt(
                source=source, booking=booking, timeslot=timeslot, number=number
            )
        except BookingIdTaken as error:
            _log.error(
                "booking id is already in use", booking=invitation.id, error=str(error)
            )

    def _withdraw_if_unknown(
        self, invitation: OpenInvitation, grant: Grant, fault: GatewayError
    ) -> OpenInvitation:
        """
        Return an invitation, withdrawn if its unit lists no units for its id.

        A unit may answer with a fault to an id that it does not know, since the
        contract has no other answer; then that list is empty
        (GetAllHealthcareFacilities).
        """
        if isinstance(fault, MalformedAnswer) or not isinstance(fault, SourceFault):
            return self._unread(invitation, fault)
        try:
            units = self._invited.list_units(invitation, grant.asker)
        except GatewayError:
            return self._unread(invitation, fault)
        if units:
            return self._unread(invitation, fault)
        return self._withdraw(invitation)

    def _withdraw(self, invitation: OpenInvitation) -> OpenInvitation:
        _log.info(
            "invitation withdrawn", source=invitation.source, booking=invitation.id
        )
        return self._journal.invitations.withdraw(invitation)

    def _unread(
        self, invitation: OpenInvitation, error: GatewayError
    ) -> OpenInvitation:
        _log.warning(
            "invitation not confirmed",
            source=invitation.source,
            booking=invitation.id,
            error=str(error),
        )
        return invitation


def _described(invitation: OpenInvitation, booking: Booking) -> OpenInvitation:
    return replace(invitation, purpose=booking.purpose)
