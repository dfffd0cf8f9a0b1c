"""
What a client wants changed of an appointment, and whether it may be so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from fhir_gateway.fhir.appointment_change import unsupported_changes
from fhir_gateway.fhir.appointment_request import (
    BOOKABLE,
    AppointmentRequest,
    ServiceTypeOf,
)
from fhir_gateway.fhir.free_text import COMMENT
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.model.booking import BookingStatus, ManagedBooking
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Conflict
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import now

__all__ = [
    "Change",
    "already_cancelled",
    "check_own_slot",
    "check_same_number",
    "check_same_person",
    "faults_of_taking_up",
    "is_current",
    "may_become",
]

_JUST_NOW: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Change:
    """
    The wanted change of an appointment.

    Attributes:
        wanted: The wanted appointment.
        sent: The Appointment that the client sent, or patched; empty when it sent none.
        exact: It was patched, so that the patch removed each missing element.
        by_operation: The operation says what to do, and the status adds nothing.
    """

    wanted: AppointmentRequest
    sent: Mapping[str, Any]
    exact: bool = False
    by_operation: bool = False

    @property
    def leaves_slot(self) -> bool:
        """
        Return whether the client may leave out the slot, since it does not change.
        """
        return self.exact or self.by_operation or self.wanted.status == "cancelled"


def is_current(present: ManagedBooking) -> bool:
    """Return whether the booking has its source's description of the last minute."""
    return (
        present.status is BookingStatus.BOOKED
        and present.is_described
        and present.confirmed_at is not None
        and now() - present.confirmed_at < _JUST_NOW
    )


def may_become(present: ManagedBooking, change: Change, *, moves: bool) -> bool:
    """Return whether a booking has the wanted status, or can get it by a change."""
    status = change.wanted.status
    if change.by_operation and change.sent:
        # The operation says what to do; a proposal comes with a status of its own.
        sent = change.sent.get("status", status)
        return sent in (*BOOKABLE, "pending", "cancelled")
    return (
        status in ("cancelled", present.status.value)
        or (
            status in BOOKABLE and (change.by_operation or (moves and not change.exact))
        )
        # A client that does not know of the cancellation gets a Conflict that says it.
        or (status in BOOKABLE and present.status is BookingStatus.CANCELLED)
    )


def check_same_person(present: ManagedBooking, wanted: AppointmentRequest) -> None:
    """
    Check that a request names the person of its booking, if it names one.

    Raises:
        Problem: 422.
    """
    check_same_number(present.number, wanted)


def check_same_number(
    number: PersonalIdentityNumber, wanted: AppointmentRequest
) -> None:
    """
    Check that a request names a person, if it names one.

    Raises:
        Problem: 422.
    """
    if wanted.number is not None and wanted.number != number:
        raise Problem(
            [
                Issue(
                    code="business-rule",
                    diagnostics="An appointment cannot be given to another person.",
                    expression="Appointment.participant",
                )
            ],
            kind=ProblemKind.UNPROCESSABLE,
        )


def faults_of_taking_up(
    shown: Mapping[str, Any], change: Change, service_type_of: ServiceTypeOf
) -> list[Issue]:
    """
    Return a fault for each thing that an answer to an open invitation lacks or changes.

    Args:
        shown: The invitation's Appointment, as this server shows it.
        change: What the client wants.
        service_type_of: Returns a slot's `serviceType`, where it is known.
    """
    wanted = change.wanted
    issues: list[Issue] = []
    COMMENT.read(wanted.comment, "Appointment.comment", issues.append)
    if wanted.status not in BOOKABLE and not change.by_operation:
        issues.append(
            Issue(
                code="not-supported",
                diagnostics="To book a time for the invitation, send status booked.",
                expression="Appointment.status",
            )
        )
    if wanted.token is None:
        issues.append(
            Issue(
                code="required",
                error_code=ErrorCode.ELEMENT_IS_MISSING,
                diagnostics="Name the slot to book: Slot?invitation= finds them.",
                expression="Appointment.slot",
            )
        )
        return issues
    if wanted.subject is None:
        issues.append(
            Issue(
                code="required",
                error_code=ErrorCode.ELEMENT_IS_MISSING,
                diagnostics=(
                    "The invitation names the resident by number only: send the name"
                    " as a contained Patient."
                ),
                expression="Appointment.contained",
            )
        )
    if change.sent:
        issues.extend(
            unsupported_changes(
                shown,
                change.sent,
                moves=True,
                exact=change.exact,
                by_operation=change.by_operation,
                service_type=service_type_of(wanted.token),
            )
        )
    return issues


def check_own_slot(present: ManagedBooking, wanted: AppointmentRequest) -> None:
    """
    Check that a cancellation is not also a move.

    A client that read the appointment as cancelled, and now wants another time, must
    not lose the old time where the booking still exists.

    Raises:
        Conflict: It names another slot.
    """
    if wanted.token is None or wanted.token.text == present.timeslot.token:
        return
    if present.status is BookingStatus.CANCELLED:
        raise already_cancelled()
    raise Conflict(
        "The request cancels the appointment and names another slot, so it is unclear"
        " whether to move or to cancel: read it again, and change only one of the two."
    )


def already_cancelled() -> Conflict:
    """Return the error for a change of a cancelled appointment."""
    return Conflict(
        "The appointment is cancelled, so it cannot be changed: book the slot again.",
        error_code=ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED,
    )
