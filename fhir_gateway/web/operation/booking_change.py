"""
What the operations that change a booking have in common.
"""

from collections.abc import Callable

from flask import Response

from fhir_gateway.fhir.appointment_operation import AppointmentCall
from fhir_gateway.fhir.appointment_request import AppointmentRequest
from fhir_gateway.fhir.operation_parameters import OperationParameter
from fhir_gateway.fhir.outcome import Faults
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.web.appointment_answer import AppointmentAnswers
from fhir_gateway.web.appointment_commands import AppointmentCommands
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.change_checks import Change
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.idempotency import answer_once, check_key
from fhir_gateway.web.identity import grant_for_booking
from fhir_gateway.web.invitation_commands import (
    InvitationCommands,
    refuse_open_invitation,
)
from fhir_gateway.web.operation.call import known_of, read_call, wanted_of
from fhir_gateway.web.precondition import precondition

__all__ = ["BookingChange", "Completion"]

# Returns what is wanted of a booking, with what only its present state says.
Completion = Callable[
    [AppointmentRequest, AppointmentCall, ManagedBooking], AppointmentRequest
]


class BookingChange:
    """
    Answers the calls of an operation that changes a booking.

    Args:
        gateway: The services.
        declared: The operation's parameters.
        complete: Completes what is wanted, when the booking was read.
        cancels: The operation cancels, regardless of an Appointment's status.
        moves: The operation moves, so a call must name one new time.
    """

    def __init__(
        self,
        gateway: Gateway,
        declared: tuple[OperationParameter, ...],
        *,
        complete: Completion = lambda wanted, _call, _present: wanted,
        cancels: bool = False,
        moves: bool = False,
    ) -> None:
        self._gateway = gateway
        self._declared = declared
        self._complete = complete
        self._cancels = cancels
        self._moves = moves
        self._commands = AppointmentCommands(gateway)
        self._invitations = InvitationCommands(gateway)
        self._view = AppointmentView(gateway)
        self._answers = AppointmentAnswers(gateway)

    def answer(self, instance: str | None) -> Response:
        """
        Answer the present request.

        Args:
            instance: The id in the URL, for a call on an appointment.
        """
        base_url = self._gateway.base_url
        body, call = read_call(
            self._declared,
            instance=instance,
            base_url=base_url,
            cancels=self._cancels,
            moves=self._moves,
            of_known=True,
        )
        faults = Faults()
        with faults:
            condition = precondition()
        with faults:
            check_key()
        with faults:
            wanted = wanted_of(call, base_url=base_url)
        faults.check()
        known = known_of(call)
        grant = grant_for_booking(self._gateway, known)

        def change(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            refuse_open_invitation(self._invitations.find(known, grant))
            present = self._commands.read(known, grant)
            asked = Change(
                wanted=self._complete(wanted, call, present),
                sent=call.given,
                by_operation=True,
            )
            booking = self._commands.change(
                present, grant, asked, condition.version(present.version), key
            )
            return booking, self._answer(booking)

        return answer_once(
            self._gateway, grant, body, change, lambda now: self._answer(now.booking)
        )

    def _answer(self, booking: ManagedBooking) -> Response:
        return self._answers.changed(booking, self._view.appointment(booking))
