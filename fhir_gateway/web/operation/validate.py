"""
`Appointment/$validate`: what a create or an update would refuse (FHIR R4, Resource).

It checks what this server checks before it asks a region, and asks none; it writes
nothing. A create concerns nobody's stored data, so that it needs no grant; an update is
compared with the last known state of its appointment, which needs one.
"""

from typing import Any, Final

from flask import Response, request

from fhir_gateway.fhir.appointment_request import appointment_request_from_resource
from fhir_gateway.fhir.operation_parameters import (
    RESOURCE,
    TEXTS,
    OperationParameter,
    arguments_from_query,
    arguments_from_resource,
)
from fhir_gateway.fhir.outcome import (
    Faults,
    Issue,
    Problem,
    Severity,
    issue_from_error,
    operation_outcome,
)
from fhir_gateway.model.booking import BookingStatus
from fhir_gateway.model.errors import Conflict, Forbidden
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.web.appointment_commands import AppointmentCommands
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.change_checks import Change, already_cancelled
from fhir_gateway.web.exchange import (
    check_accept,
    fhir_response,
    read_body,
    search_parameters_of_request,
)
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.identity import admit_change, grant_for_booking
from fhir_gateway.web.invitation_commands import InvitationCommands
from fhir_gateway.web.operation.call import refuse_query

__all__ = ["VALIDATE", "Validate"]

VALIDATE: Final = (
    OperationParameter(names=("resource",), types=RESOURCE),
    OperationParameter(names=("mode",), types=TEXTS),
    OperationParameter(names=("profile",), types=TEXTS),
)
_JOINED: Final = frozenset({"Appointment"})
_MODES: Final = ("create", "update", "delete", "profile")
_ALL_OK: Final = Issue(
    severity=Severity.INFORMATION,
    code="informational",
    diagnostics=(
        "This server would take it. Whether the time is free, and whether the region"
        " says yes, only sending it shows."
    ),
)
_NO_DELETE: Final = Issue(
    code="not-supported",
    diagnostics="An appointment cannot be deleted: cancel it.",
)


class Validate:
    """
    Answers `$validate`.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._commands = AppointmentCommands(gateway)
        self._invitations = InvitationCommands(gateway)
        self._view = AppointmentView(gateway)

    def answer(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer the present request."""
        check_accept()
        refuse_query()
        resource, mode, profile = self._asked()
        mode = mode or ("create" if id is None else "update")
        issues = self._unknown_profile(profile)
        if mode == "delete":
            issues.append(_NO_DELETE)
        elif mode == "update":
            issues.extend(self._faults_of_update(resource, id))
        else:
            issues.extend(self._faults_of_create(resource))
        return fhir_response(operation_outcome(issues or [_ALL_OK]))

    def _asked(self) -> tuple[Any, str | None, str | None]:
        """
        Return the resource, the mode and the profile of the present request.

        Raises:
            Problem: 400, with an issue for each fault of the parameters.
        """
        base_url = self._gateway.base_url
        if request.method == "GET":
            # A URL has no place for a resource, nor for what is in one.
            given = search_parameters_of_request(is_personal=True)
            arguments = arguments_from_query(given, VALIDATE[1:], base_url)
            resource = None
        else:
            body = read_body()
            if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
                return body, None, None
            arguments = arguments_from_resource(
                body, VALIDATE, base_url, deferred=_JOINED
            )
            resource = arguments.resource("resource", "Appointment")
        mode = arguments.text("mode")
        if mode not in (None, *_MODES):
            arguments.fault("value", f"mode must be one of {', '.join(_MODES)}.")
        if mode != "delete" and not arguments.names_any(VALIDATE[0]):
            arguments.fault(
                "required", "Send the Appointment by POST, alone or as resource."
            )
        arguments.check()
        return resource, mode, arguments.text("profile")

    def _unknown_profile(self, profile: str | None) -> list[Issue]:
        ours = self._gateway.vocabulary.profile("appointment")
        if profile is None or profile.partition("|")[0] == ours:
            return []
        return [
            Issue(
                code="not-supported",
                diagnostics=(
                    "This server does not know the profile: leave it out to learn what"
                    " this server would refuse."
                ),
            )
        ]

    def _faults_of_create(self, resource: object) -> list[Issue]:
        faults = Faults()
        with faults:
            appointment_request_from_resource(
                resource,
                base_url=self._gateway.base_url,
                to_book=True,
                schedule_of=self._view.schedule,
                service_type_of=self._view.service_type,
            )
        return _issues(faults)

    def _faults_of_update(self, resource: object, id: str | None) -> list[Issue]:  # noqa: A002 - the name in FHIR's URL
        """
        Return the faults of an update, compared with the last known state.

        Raises:
            NotPermitted: The caller may not update.
            NotFound: There is no such appointment, or the caller may not see it.
        """
        admit_change(self._gateway)
        named = resource.get("id") if isinstance(resource, dict) else None
        known = id or (named if isinstance(named, str) else "")
        grant = grant_for_booking(self._gateway, known)
        invitation = self._gateway.booking.invitations.last_known(known, grant)
        present = invitation or self._gateway.booking.last_known(known, grant)
        grant.check_status(present.status.value)
        faults = Faults()
        with faults:
            wanted = appointment_request_from_resource(
                resource, base_url=self._gateway.base_url
            )
        if (found := _issues(faults)) or not isinstance(resource, dict):
            return found
        issues = []
        if named is None:
            # Another id is a change like others.
            issues.append(
                Issue(
                    code="value",
                    diagnostics="The body's id must be the one in the URL.",
                    expression="Appointment.id",
                )
            )
        cancels = wanted.status == "cancelled"
        change = Change(wanted=wanted, sent=resource)
        try:
            if isinstance(present, OpenInvitation):
                return [*issues, *self._invitations.faults_of(present, change)]
            if present.status is BookingStatus.CANCELLED and not cancels:
                raise already_cancelled()
            self._commands.check_change(present, change)
        except Problem as problem:
            issues.extend(problem.issues)
        except (Conflict, Forbidden) as error:
            issues.append(issue_from_error(error))
        return issues


def _issues(faults: Faults) -> list[Issue]:
    try:
        faults.check()
    except Problem as problem:
        return list(problem.issues)
    return []
