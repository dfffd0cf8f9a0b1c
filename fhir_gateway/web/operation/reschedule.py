"""
`Appointment/$reschedule`: moves a booking to another free time (Medplum).

The new time is a slot, or a start in a schedule: the booking's own schedule, unless the
call names another. The old time stays booked until the new one is certain.
"""

from dataclasses import replace
from datetime import timedelta

from flask import Response

from fhir_gateway.fhir.appointment_operation import RESCHEDULE, AppointmentCall
from fhir_gateway.fhir.appointment_request import AppointmentRequest
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.errors import TimeslotTaken
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.operation.booking_change import BookingChange

__all__ = ["Reschedule"]


class Reschedule:
    """
    Answers `$reschedule`.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._slot_search = gateway.slot_search
        self._change = BookingChange(
            gateway, RESCHEDULE, complete=self._with_token, moves=True
        )

    def answer(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer the present request."""
        return self._change.answer(id)

    def _with_token(
        self, wanted: AppointmentRequest, call: AppointmentCall, present: ManagedBooking
    ) -> AppointmentRequest:
        return replace(wanted, token=wanted.token or self._token(call, present))

    def _token(self, call: AppointmentCall, present: ManagedBooking) -> TimeslotToken:
        """
        Return the free time with the wanted start.

        Raises:
            TimeslotTaken: No free time begins then.
        """
        if call.starts_at is None:
            raise TypeError("the target was not checked")
        schedule = call.schedule or present.timeslot.schedule.token
        page = self._slot_search.search(
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
