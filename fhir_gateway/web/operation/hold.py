"""
`Appointment/$hold`: holds a free time while a resident decides.

It holds a free slot, extends a hold, and releases a hold with `slot-status` free (IHE
ITI-116, Argonaut, HL7 Austria, Medplum).
"""

from typing import Final

from flask import Response

from fhir_gateway.fhir.appointment_operation import HOLD, AppointmentCall
from fhir_gateway.fhir.outcome import Faults, Issue, Severity
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.services.booking.request import BookedTimeslot
from fhir_gateway.web.appointment_answer import AppointmentAnswers, Wrap
from fhir_gateway.web.appointment_commands import AppointmentCommands
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.change_checks import Change
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.idempotency import answer_once, check_key
from fhir_gateway.web.identity import grant_for_booking, grant_for_person
from fhir_gateway.web.operation.call import in_form, known_of, read_call, wanted_of
from fhir_gateway.web.precondition import precondition, refuse_precondition

__all__ = ["Hold"]

_BINDS: Final = Issue(
    severity=Severity.INFORMATION,
    code="informational",
    error_code=ErrorCode.HOLD_BINDS_THIS_SERVER_ONLY,
    diagnostics=(
        "The hold binds the clients of this server only: the unit does not know of it"
        " and may give the time to somebody else."
    ),
)


class Hold:
    """
    Answers `$hold`.

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
            HOLD,
            instance=id,
            base_url=base_url,
            hold_at=self._gateway.booking.find_hold,
        )
        ends = call.releases or call.cancels
        is_new = call.known is None and not ends
        faults = Faults()
        with faults:
            if is_new:
                refuse_precondition()
            condition = precondition()
        with faults:
            check_key()
        with faults:
            wanted = wanted_of(
                call,
                base_url=base_url,
                to_hold=is_new,
                schedule_of=self._view.schedule,
                service_type_of=self._view.service_type,
            )
        faults.check()
        if not is_new:
            known = known_of(call)
            grant = grant_for_booking(self._gateway, known)
            unchanged = Change(wanted=wanted, sent=call.given, by_operation=True)

            def change(_: RequestKey | None) -> tuple[ManagedBooking, Response]:
                present = self._commands.read(known, grant)
                condition.check(present.version)
                self._commands.check_unchanged(present, unchanged)
                if ends:
                    booking = self._commands.release(known, grant, wanted.cancellation)
                else:
                    booking = self._commands.renew(known, grant)
                return booking, self._answer_changed(booking, call)

            return answer_once(
                self._gateway,
                grant,
                body,
                change,
                lambda now: self._answer_changed(now.booking, call),
            )

        if wanted.number is None or wanted.token is None:
            raise TypeError("the request was not read to hold")
        grant = grant_for_person(self._gateway, wanted.number, wanted.token.unit)

        def hold(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            booking = self._commands.hold(wanted, grant, key)
            held = BookedTimeslot(booking=booking, is_new=True)
            return booking, self._answer_held(held, call)

        return answer_once(
            self._gateway, grant, body, hold, lambda now: self._answer_held(now, call)
        )

    def _answer_held(self, held: BookedTimeslot, call: AppointmentCall) -> Response:
        return self._answers.booked(
            held,
            self._view.appointment(held.booking),
            self._form(held.booking, call),
        )

    def _answer_changed(
        self, booking: ManagedBooking, call: AppointmentCall
    ) -> Response:
        return self._answers.changed(
            booking, self._view.appointment(booking), self._form(booking, call)
        )

    def _form(self, booking: ManagedBooking, call: AppointmentCall) -> Wrap:
        # A repeat may find the hold booked, or over.
        issues = [] if booking.held_until is None else [_BINDS]
        slot = self._view.slot(booking)
        return in_form(call.form, self._gateway.base_url, issues, slot)
