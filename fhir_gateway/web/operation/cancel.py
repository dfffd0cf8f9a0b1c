"""
`Appointment/$cancel`: cancels a booking, releases a hold (Medplum).
"""

from flask import Response

from fhir_gateway.fhir.appointment_operation import CANCEL
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
from fhir_gateway.web.operation.call import known_of, read_call, wanted_of
from fhir_gateway.web.precondition import precondition

__all__ = ["Cancel"]


class Cancel:
    """
    Answers `$cancel`.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._commands = AppointmentCommands(gateway)
        self._view = AppointmentView(gateway)
        self._answers = AppointmentAnswers(gateway)

    def answer(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer the present request."""
        base_url = self._gateway.base_url
        body, call = read_call(
            CANCEL, instance=id, base_url=base_url, cancels=True, of_known=True
        )
        faults = Faults()
        with faults:
            condition = precondition()
        with faults:
            check_key()
        with faults:
            wanted = wanted_of(call, base_url=self._gateway.base_url)
        faults.check()
        known = known_of(call)
        grant = grant_for_booking(self._gateway, known)
        change = Change(wanted=wanted, sent=call.given, by_operation=True)

        def cancel(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            present = self._commands.read(known, grant)
            booking = self._commands.change(
                present, grant, change, condition.version(present.version), key
            )
            return booking, self._answer(booking)

        return answer_once(
            self._gateway, grant, body, cancel, lambda now: self._answer(now.booking)
        )

    def _answer(self, booking: ManagedBooking) -> Response:
        return self._answers.changed(booking, self._view.appointment(booking))
