"""
Appointment: create, read, search-type, update, patch (FHIR R4, 12.8).

A create books; an update or patch moves (another slot) or cancels (status cancelled).
"""

from typing import Any

from flask import Response, request

from fhir_gateway.fhir.appointment_request import (
    appointment_request_from_resource,
)
from fhir_gateway.fhir.limits import (
    MOST_SENT_BACK_BYTES,
)
from fhir_gateway.fhir.outcome import (
    Faults,
    Issue,
    Problem,
    ProblemKind,
)
from fhir_gateway.fhir.postponement import named_slot, postponed
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import Conflict, NotFound, Stale
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.booking.request import BookedTimeslot
from fhir_gateway.web.appointment_answer import AppointmentAnswers
from fhir_gateway.web.appointment_commands import AppointmentCommands
from fhir_gateway.web.appointment_patch import (
    apply_patch,
    patch_from_body,
    shows_contents,
)
from fhir_gateway.web.appointment_search import AppointmentSearch
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.change_checks import Change
from fhir_gateway.web.conditional_create import check_condition, create_once
from fhir_gateway.web.exchange import (
    JSON_PATCH,
    PATCH_TYPES,
    begin_read,
    check_accept,
    fhir_response,
    read_body,
    refuse_parameters,
)
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.idempotency import answer_once, check_key
from fhir_gateway.web.identity import (
    admit_read,
    grant_for_booking,
    grant_for_person,
    may_read,
)
from fhir_gateway.web.invitation_commands import InvitationCommands
from fhir_gateway.web.operation.routes import appointment_operations
from fhir_gateway.web.precondition import precondition, refuse_precondition
from fhir_gateway.web.proposal import Proposals
from fhir_gateway.web.read_view import no_such_version
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes

__all__ = ["appointment_routes"]


def appointment_routes(gateway: Gateway) -> ResourceRoutes:
    """Return the routes of Appointment."""
    views = _Views(gateway)
    search = AppointmentSearch(gateway)
    return ResourceRoutes(
        type="Appointment",
        profile="appointment",
        search=search.schema,
        documentation=(
            "POST books; PUT or PATCH with another slot moves, with status cancelled"
            " cancels. 202 means that the outcome is unknown yet: read Content-Location"
            " again."
        ),
        views={
            InteractionCode.READ: views.read,
            InteractionCode.VREAD: views.read,
            InteractionCode.SEARCH_TYPE: search.answer,
            InteractionCode.CREATE: views.create,
            InteractionCode.UPDATE: views.update,
            InteractionCode.PATCH: views.patch,
        },
        may_wait=frozenset(InteractionCode),
        most_bytes={InteractionCode.UPDATE: MOST_SENT_BACK_BYTES},
        operations=appointment_operations(gateway),
    )


class _Views:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._commands = AppointmentCommands(gateway)
        self._invitations = InvitationCommands(gateway)
        self._view = AppointmentView(gateway)
        self._answers = AppointmentAnswers(gateway)
        self._proposals = Proposals(gateway)

    def read(self, id: str, version: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        begin_read()
        proposal = self._proposals.find(id)
        if proposal is not None:
            if version is not None:
                raise no_such_version("Appointment")
            return fhir_response(proposal)
        grant = grant_for_booking(self._gateway, id)
        found = self._invitations.find(id, grant) or self._commands.read(id, grant)
        if version not in (None, str(found.version)):
            raise no_such_version("Appointment")
        return self._answers.read(found, self._view.resource(found))

    def create(self) -> Response:
        check_accept()
        body = read_body()
        faults = Faults()
        with faults:
            refuse_parameters()
        with faults:
            refuse_precondition()
        with faults:
            check_condition(self._gateway.base_url)
        with faults:
            wanted = appointment_request_from_resource(
                body,
                base_url=self._gateway.base_url,
                to_book=True,
                schedule_of=self._view.schedule,
                service_type_of=self._view.service_type,
            )
        faults.check()

        if wanted.number is None or wanted.token is None:
            raise TypeError("the request was not read to book")
        grant = grant_for_person(self._gateway, wanted.number, wanted.token.unit)

        def book(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            booked = self._commands.book(wanted, grant, key)
            return booked.booking, self._answer_booked(booked)

        return create_once(self._gateway, grant, body, book, self._answer_booked)

    def update(self, id: str) -> Response:  # noqa: A002 - the name in FHIR's URL
        check_accept()
        body = read_body()
        faults = Faults()
        with faults:
            refuse_parameters()
        with faults:
            condition = precondition()
        with faults:
            check_key()
        with faults:
            _check_id(body, id)
        base_url = self._gateway.base_url
        named = named_slot(body, base_url)
        sent = body if named is None else postponed(body, named) or body
        with faults:
            wanted = appointment_request_from_resource(sent, base_url=base_url)
        faults.check()

        grant = grant_for_booking(self._gateway, id)

        def change(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            invitation = self._invitations.find(id, grant)
            if invitation is not None:
                version = condition.version(invitation.version)
                return self._take_up(invitation, grant, self._wish(body), version, key)
            present = self._commands.read(id, grant)
            version = condition.version(present.version)
            own = TimeslotToken.parse(present.timeslot.token)
            wish = Change(wanted=wanted, sent=sent)
            if named not in (None, own):
                # Times that are not another slot's are a fault.
                wish = self._wish(body)
            elif named is None and (later := postponed(body, own)) is not None:
                wish = self._wish(later)
            return self._change(present, grant, wish, version, key)

        return answer_once(self._gateway, grant, body, change, self._answer_present)

    def patch(self, id: str) -> Response:  # noqa: A002 - the name in FHIR's URL
        check_accept()
        body = read_body(*PATCH_TYPES)
        faults = Faults()
        with faults:
            refuse_parameters()
        with faults:
            condition = precondition()
        with faults:
            check_key()
        with faults:
            operations = patch_from_body(
                body, is_json_patch=request.mimetype == JSON_PATCH
            )
        faults.check()
        compares = shows_contents(operations)
        if compares:
            admit_read(self._gateway)
        grant = grant_for_booking(self._gateway, id)

        def change(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            present = self._invitations.find(id, grant) or self._commands.read(
                id, grant
            )
            if compares and not may_read(self._gateway, present.status):
                raise NotFound("There is no such booking.")
            base_url = self._gateway.base_url
            patched = apply_patch(self._view.resource(present), operations, base_url)
            wanted = appointment_request_from_resource(patched, base_url=base_url)
            # The patch was made for one version; in another, its unpatched elements may
            # differ from what the client expects.
            version = condition.version(present.version)
            patches = present.version if version is None else version
            wish = Change(wanted=wanted, sent=patched, exact=True)
            try:
                if isinstance(present, OpenInvitation):
                    return self._take_up(present, grant, wish, patches, key)
                return self._change(present, grant, wish, patches, key)
            except Stale as error:
                if version is not None:
                    raise
                raise Conflict(
                    "The appointment changed while it was being patched: send the patch"
                    " again."
                ) from error

        return answer_once(self._gateway, grant, body, change, self._answer_present)

    def _wish(self, body: dict[str, Any]) -> Change:
        """
        Return what a client wants changed by an Appointment.

        Raises:
            Problem: 422, with an issue for each fault.
        """
        base_url = self._gateway.base_url
        wanted = appointment_request_from_resource(body, base_url=base_url)
        return Change(wanted=wanted, sent=body)

    def _change(
        self,
        present: ManagedBooking,
        grant: Grant,
        change: Change,
        version: int | None,
        key: RequestKey | None,
    ) -> tuple[ManagedBooking, Response]:
        booking = self._commands.change(present, grant, change, version, key)
        return booking, self._answer_changed(booking)

    def _take_up(
        self,
        invitation: OpenInvitation,
        grant: Grant,
        change: Change,
        version: int | None,
        key: RequestKey | None,
    ) -> tuple[ManagedBooking, Response]:
        booking = self._invitations.take_up(invitation, grant, change, version, key)
        return booking, self._answer_changed(booking)

    def _answer_booked(self, booked: BookedTimeslot) -> Response:
        return self._answers.booked(booked, self._view.appointment(booked.booking))

    def _answer_present(self, booked: BookedTimeslot) -> Response:
        return self._answer_changed(booked.booking)

    def _answer_changed(self, booking: ManagedBooking) -> Response:
        return self._answers.changed(booking, self._view.appointment(booking))


def _check_id(body: Any, id: str) -> None:  # noqa: A002, ANN401 - the name in FHIR's URL; JSON is any value
    """
    Check that the Appointment in a body has the id in the URL.

    Raises:
        Problem: 400.
    """
    if not isinstance(body, dict) or body.get("resourceType") != "Appointment":
        # Its reading refuses it as no Appointment.
        return
    if body.get("id") != id:
        raise Problem(
            [
                Issue(
                    code="value",
                    diagnostics="The body's id must be the one in the URL.",
                    expression="Appointment.id",
                )
            ],
            kind=ProblemKind.MALFORMED,
        )
