"""
`Appointment/$reschedule`: moves a booking to another free time (Medplum).

The new time is a slot, or a start in a schedule: the booking's own schedule, unless the
call names another. The old time stays booked until the new one is certain.
"""

from dataclasses import replace
from datetime import timedelta

from flask import Response

from fhir_gateway.fhir.appointment_operation import RESCHEDULE, AppointmentCall
from fhir_gateway.fhir.outcome import Faults
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import TimeslotTaken
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.web.appointment_answer import AppointmentAnswers
from fhir_gateway.web.appointment_commands import AppointmentCommands
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.change_checks import Change
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.idempotency import answer_once, check_key
from fhir_gateway.web.identity import grant_for_booking
from fhir_gateway.web.operation.call import known_of, read_call, wanted_of
from fhir_gateway.web.precondition import precondition

__all__ = ["Reschedule"]


class Reschedule:
    """
    Answers `$reschedule`.

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
        body, call = read_call(
            RESCHEDULE,
            instance=id,
            base_url=self._gateway.base_url,
            moves=True,
            of_known=True,
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

        def move(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            present = self._commands.read(known, grant)
            moved = replace(wanted, token=wanted.token or self._token(call, present))
            change = Change(wanted=moved, sent=call.given, by_operation=True)
            booking = self._commands.change(
                present, grant, change, condition.version(present.version), key
            )
            return booking, self._answer(booking)

        return answer_once(
            self._gateway, grant, body, move, lambda now: self._answer(now.booking)
        )

    def _answer(self, booking: ManagedBooking) -> Response:
        return self._answers.changed(booking, self._view.appointment(booking))

    def _token(self, call: AppointmentCall, present: ManagedBooking) -> TimeslotToken:
        """
        Return the free time with the wanted start.

        Raises:
            TimeslotTaken: No free time begins then.
        """
        if call.starts_at is None:
            raise TypeError("the target was not checked")
        schedule = call.schedule or present.timeslot.schedule.token
        page = self._gateway.slot_search.search(
            SlotCriteria(
                selector=Selector(schedules=(frozenset({schedule}),)),
                start=call.starts_at,
                before=call.starts_at + timedelta(seconds=1),
                count=1,
                counted=False,
            )
        )
        for found in page.found:
            return TimeslotToken.parse(found.timeslot.token)
        if present.timeslot.start == call.starts_at and (
            schedule == present.timeslot.schedule.token
        ):
            return TimeslotToken.parse(present.timeslot.token)
        raise TimeslotTaken(
            "No free time begins then in that schedule; search for another one."
        )
