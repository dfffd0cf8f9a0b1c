"""
Open invitations at clients' requests: update, patch and `$book` book a time for one.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Final

import structlog

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.search_parameters import Token
from fhir_gateway.model.booking import BookingStatus, ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Conflict, Forbidden, GatewayError, Stale
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.source import SourceOutcome, SourceProblem
from fhir_gateway.services.booking.request import BookingRequest
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.change_checks import (
    Change,
    check_same_number,
    faults_of_taking_up,
)
from fhir_gateway.web.exchange import preferences
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.limiting import count_live_calls

__all__ = ["InvitationCommands", "refuse_open_invitation"]

_log = structlog.get_logger()

_MOST_DISCOVERED: Final = 5


class InvitationCommands:
    """
    Reads open invitations and books times for them.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._view = AppointmentView(gateway)

    def find(self, identifier: str, grant: Grant) -> OpenInvitation | None:
        """
        Return the present state of an open or withdrawn invitation.

        None: there is none of that id. A booking may have it.

        Raises:
            NotFound: The token's scopes do not reach it.
        """
        invitation = self._gateway.booking.invitations.read(identifier, grant)
        if invitation is not None:
            grant.check_status(invitation.status.value)
        return invitation

    def discover(self, grant: Grant, tokens: Iterable[Token]) -> list[SourceOutcome]:
        """
        Ask units about ids that a resident knows, as from a letter of the unit.

        No list has an open invitation. One that is found is recorded, so that the
        resident's list has it from now on.

        Args:
            grant: Who asks, and for which resident.
            tokens: Identifiers; those that are no booking's are left out.

        Returns:
            An outcome for each unit that could not be asked.

        Raises:
            LimitReached: The client has used up a limit.
        """
        outcomes = []
        for token in islice(tokens, _MOST_DISCOVERED):
            unit = self._gateway.vocabulary.unit_of_booking_ids(token.system or "")
            if unit is None or not token.code or not grant.reaches((unit,)):
                continue
            directory = self._gateway.slot_search.snapshot.directory
            source, booking_id = directory.owner_of(unit), BookingId(token.code)
            if source is None or self._gateway.booking.find_by_region_id(
                source, unit, booking_id
            ):
                continue
            count_live_calls(self._gateway.limits, 1)
            try:
                self._gateway.booking.invitations.discover(
                    source, unit, booking_id, grant
                )
            except GatewayError as error:
                _log.info("invitation not looked up", source=source, error=str(error))
                outcomes.append(
                    SourceOutcome(
                        source=source,
                        problem=SourceProblem.UNAVAILABLE,
                        detail=(
                            "The unit could not be asked about the identifier, so that"
                            " an invitation may be missing: try again, or contact the"
                            " unit."
                        ),
                    )
                )
        return outcomes

    def faults_of(self, invitation: OpenInvitation, change: Change) -> list[Issue]:
        """
        Return what is wrong with an answer to an invitation, without asking a region.

        Raises:
            Problem: 422: it names another person.
            Conflict: The unit has taken the invitation back.
            Forbidden: It declines the invitation.
        """
        check_same_number(invitation.number, change.wanted)
        if (
            change.wanted.status == "cancelled"
            or invitation.status is not BookingStatus.PROPOSED
        ):
            refuse_open_invitation(invitation)
        return faults_of_taking_up(
            self._view.invitation(invitation), change, self._view.service_type
        )

    def take_up(
        self,
        invitation: OpenInvitation,
        grant: Grant,
        change: Change,
        version: int | None,
        request: RequestKey | None = None,
    ) -> ManagedBooking:
        """
        Book a slot for an open invitation.

        Args:
            invitation: The invitation, read just now.
            grant: Who asks.
            change: The wanted appointment: a slot, and the resident with a name.
            version: The version that the client has read; None for any.
            request: The client's key of the request.

        Raises:
            Problem: 422 for any other change, with an issue for each.
            GatewayError: As `BookingService.take_up`.
        """
        wanted = change.wanted
        if version not in (None, invitation.version):
            raise Stale("The invitation has changed since you read it; read it again.")
        issues = self.faults_of(invitation, change)
        grant.check_outcome(BookingStatus.BOOKED.value)
        if issues:
            raise Problem(issues, kind=ProblemKind.UNPROCESSABLE)
        if wanted.token is None or wanted.subject is None:
            raise TypeError("the wanted appointment was not checked")
        grant.check_unit(wanted.token.unit)
        return self._gateway.booking.take_up(
            invitation,
            BookingRequest(
                token=wanted.token,
                subject=wanted.subject,
                grant=grant,
                reason=wanted.comment,
                request=request,
                waits=preferences().waits_for_region,
            ),
        ).booking


def refuse_open_invitation(invitation: OpenInvitation | None) -> None:
    """
    Refuse to move or cancel what has no time yet.

    Raises:
        Forbidden: It is an open invitation.
        Conflict: Its unit has taken it back.
    """
    if invitation is None:
        return
    if invitation.status is not BookingStatus.PROPOSED:
        raise Conflict(
            "The unit has taken the invitation back; contact the unit.",
            source=invitation.source,
            error_code=ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED,
        )
    raise Forbidden(
        "This is an invitation without a time, which the regions' contracts can neither"
        " move nor decline: book one of its slots, or contact the unit.",
        source=invitation.source,
        error_code=ErrorCode.CANCEL_IS_NOT_ALLOWED,
    )
