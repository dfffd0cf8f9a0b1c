"""
Reading an operation's call, and answering in the caller's dialect.
"""

from collections.abc import Sequence
from typing import Any, Final

from flask import request

from fhir_gateway.fhir.appointment_operation import (
    AnswerForm,
    AppointmentCall,
    HoldAt,
    appointment_call,
    nobodys,
)
from fhir_gateway.fhir.appointment_request import (
    AppointmentRequest,
    ScheduleOf,
    ServiceTypeOf,
    appointment_request_from_resource,
    unknown,
)
from fhir_gateway.fhir.bundle import Entry, Mode, searchset
from fhir_gateway.fhir.operation_parameters import OperationParameter
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind, operation_outcome
from fhir_gateway.web.answer_form import FORM_PARAMETERS
from fhir_gateway.web.appointment_answer import Wrap
from fhir_gateway.web.exchange import (
    check_accept,
    check_type,
    is_without_body,
    own_url,
    read_body,
)
from fhir_gateway.web.identity import present_principal

__all__ = [
    "in_form",
    "is_of_patient",
    "known_of",
    "read_call",
    "refuse_query",
    "wanted_of",
]

# The elements of an Appointment that parameters can replace.
_OF_PARAMETERS: Final = tuple(
    f"Appointment.{name}" for name in ("slot", "participant", "contained")
)
_NOTHING: Final = {"resourceType": "Parameters"}


def read_call(
    declared: tuple[OperationParameter, ...],
    *,
    instance: str | None,
    base_url: str,
    cancels: bool = False,
    moves: bool = False,
    of_known: bool = False,
    hold_at: HoldAt = nobodys,
) -> tuple[Any, AppointmentCall]:
    """
    Return the body of the present request, and the call in it.

    On an instance the body may be empty, but its Content-Type is required: a page of
    another site could send a request without one in its reader's name.

    Args:
        declared: The operation's parameters.
        instance: The id in the URL, for a call on an appointment.
        base_url: What absolute references to this server begin with.
        cancels: The operation cancels, regardless of an Appointment's status.
        moves: The operation moves, so the call must name one new time.
        of_known: The operation needs an appointment that exists.
        hold_at: Returns the id of a resident's hold of a slot.

    Raises:
        Problem: 400, 406 or 415. `wanted_of` reports the faults of single parameters.
    """
    check_accept()
    refuse_query()
    check_type()
    is_empty = instance is not None and is_without_body()
    body = dict(_NOTHING) if is_empty else read_body()
    call = appointment_call(
        body,
        declared,
        instance=instance,
        base_url=base_url,
        cancels=cancels,
        moves=moves,
        of_known=of_known,
        own=present_principal().number,
        hold_at=hold_at,
    )
    return body, call


def wanted_of(
    call: AppointmentCall,
    *,
    base_url: str,
    to_book: bool = False,
    to_hold: bool = False,
    schedule_of: ScheduleOf = unknown,
    service_type_of: ServiceTypeOf = unknown,
) -> AppointmentRequest:
    """
    Return the request in a call's Appointment.

    Args:
        call: The call.
        base_url: What absolute references to this server begin with.
        to_book: As of `appointment_request_from_resource`.
        to_hold: Likewise.
        schedule_of: Likewise.
        service_type_of: Likewise.

    Raises:
        Problem: 400 with all faults of the parameters and of the Appointment; 422 where
            the parameters have none.
    """
    kind, issues = ProblemKind.MALFORMED, list(call.faults)
    try:
        wanted = appointment_request_from_resource(
            call.appointment,
            base_url=base_url,
            to_book=to_book,
            to_hold=to_hold,
            schedule_of=schedule_of,
            service_type_of=service_type_of,
        )
    except Problem as problem:
        if not issues:
            raise
        issues.extend(
            each
            for each in problem.issues
            # A missing element may be a parameter that could not be read.
            if each.code != "required"
            or not (each.expression or "").startswith(_OF_PARAMETERS)
        )
        raise Problem(issues, kind=kind) from problem
    if issues:
        raise Problem(issues, kind=kind)
    return wanted


def known_of(call: AppointmentCall) -> str:
    """
    Return the id of the appointment in a call that needs one and has no faults.
    """
    if call.known is None:
        raise TypeError("the call was not checked")
    return call.known


def refuse_query() -> None:
    """
    Refuse parameters in the URL of a call by POST: nothing reads them.

    Raises:
        Problem: 400; it repeats nothing of the request.
    """
    names = request.args.keys() - FORM_PARAMETERS
    if request.method != "POST" or not names:
        return
    fault = "Send the parameters in the body, as a Parameters resource"
    if any(is_of_patient(name) for name in names):
        issue = Issue(
            code="security",
            diagnostics=(
                f"{fault}: a parameter that may be a patient's must not be in a URL."
            ),
        )
    else:
        issue = Issue(
            code="not-supported",
            diagnostics=f"{fault}: those in the URL of a POST are not read.",
        )
    raise Problem([issue], kind=ProblemKind.MALFORMED)


def is_of_patient(name: str) -> bool:
    """Return whether a parameter may identify a patient, by its name."""
    return "patient" in name.casefold()


def in_form(
    form: AnswerForm,
    base_url: str,
    issues: Sequence[Issue] = (),
    slot: dict[str, Any] | None = None,
) -> Wrap:
    """
    Return a function that puts an Appointment into a dialect's form.

    Args:
        form: The form.
        base_url: The server's FHIR base.
        issues: Further issues for the client, in forms that can hold them.
        slot: The Appointment's Slot, likewise.
    """

    def wrap(appointment: dict[str, Any], status: int) -> dict[str, Any]:
        if form is AnswerForm.SEARCHSET:
            return searchset(
                [Entry(appointment, Mode.MATCH)],
                base_url=base_url,
                self_url=own_url(base_url),
                total=1,
                issues=issues,
            )
        if form is AnswerForm.TRANSACTION:
            return _transaction_response(appointment, status, base_url, issues, slot)
        if form is AnswerForm.PARAMETERS:
            return _parameters(appointment, issues, slot)
        return appointment

    return wrap


def _transaction_response(
    appointment: dict[str, Any],
    status: int,
    base_url: str,
    issues: Sequence[Issue],
    slot: dict[str, Any] | None,
) -> dict[str, Any]:
    url = f"{base_url}/Appointment/{appointment['id']}"
    response: dict[str, Any] = {
        "status": str(status),
        "location": url,
        "etag": f'W/"{appointment["meta"]["versionId"]}"',
    }
    if issues:
        response["outcome"] = operation_outcome(issues)
    entry = [{"fullUrl": url, "resource": appointment, "response": response}]
    if slot is not None:
        entry.append(
            {
                "fullUrl": f"{base_url}/Slot/{slot['id']}",
                "resource": slot,
                "response": {"status": str(status)},
            }
        )
    return {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": entry,
    }


def _parameters(
    appointment: dict[str, Any],
    issues: Sequence[Issue],
    slot: dict[str, Any] | None,
) -> dict[str, Any]:
    parameter: list[dict[str, Any]] = [{"name": "appointment", "resource": appointment}]
    parameter.extend(
        {"name": "slot-reference", "valueReference": slot}
        for slot in appointment.get("slot", ())
    )
    parameter.extend(
        {"name": "held-until", "valueDateTime": part["valueDateTime"]}
        for extension in appointment.get("extension", ())
        for part in extension.get("extension", ())
        if part["url"] == "held-until"
    )
    if slot is not None:
        parameter.append({"name": "slot", "resource": slot})
    if issues:
        parameter.append({"name": "outcome", "resource": operation_outcome(issues)})
    return {"resourceType": "Parameters", "parameter": parameter}
