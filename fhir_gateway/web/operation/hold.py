"""
`Appointment/$hold`: keeps a free time for a resident who makes up their mind.

On a free slot it holds, on a hold it lasts longer, with `slot-status` free it lets go
(IHE ITI-116, Argonaut, HL7 Austria, Medplum).
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
from fhir_gateway.web.booking_desk import BookingDesk, Change
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.idempotency import check_key, once
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
        self._desk = BookingDesk(gateway)
        self._answers = AppointmentAnswers(gateway)

    def answer(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer the present request."""
        base_url = self._gateway.base_url
        body, call = read_call(HOLD, instance=id, base_url=base_url)
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
                of_known=not is_new,
                schedule_of=self._desk.schedule,
                service_type_of=self._desk.service_type,
            )
        faults.check()
        if not is_new:
            known = known_of(call)
            unchanged = Change(wanted=wanted, sent=call.given, by_operation=True)

            def change(_: RequestKey | None) -> tuple[ManagedBooking, Response]:
                present = self._desk.read(known)
                condition.check(present.version)
                self._desk.check_unchanged(present, unchanged)
                if ends:
                    booking = self._desk.release(known, wanted.cancellation)
                else:
                    booking = self._desk.renew(known)
                return booking, self._changed(booking, call)

            return once(
                self._gateway,
                body,
                change,
                lambda now: self._changed(now.booking, call),
            )

        def hold(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            booking = self._desk.hold(wanted, key)
            held = BookedTimeslot(booking=booking, is_new=True)
            return booking, self._held(held, call)

        return once(self._gateway, body, hold, lambda now: self._held(now, call))

    def _held(self, held: BookedTimeslot, call: AppointmentCall) -> Response:
        return self._answers.booked(
            held,
            self._desk.appointment(held.booking),
            self._form(held.booking, call),
        )

    def _changed(self, booking: ManagedBooking, call: AppointmentCall) -> Response:
        return self._answers.changed(
            booking, self._desk.appointment(booking), self._form(booking, call)
        )

    def _form(self, booking: ManagedBooking, call: AppointmentCall) -> Wrap:
        # A repeat may find it booked, or over.
        issues = [] if booking.held_until is None else [_BINDS]
        return in_form(call.form, self._gateway.base_url, issues)
