"""
`Appointment/$book`: books, converts a hold, moves or cancels (IHE ITI-117, Argonaut).

The status and the id of what is sent say which, as in IHE and WOF; each ends where
create, update and patch do.
"""

from dataclasses import replace

from flask import Response

from fhir_gateway.fhir.appointment_operation import BOOK, AppointmentCall
from fhir_gateway.fhir.appointment_request import AppointmentRequest
from fhir_gateway.fhir.outcome import Faults
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.booking.request import BookedTimeslot
from fhir_gateway.web.appointment_answer import AppointmentAnswers
from fhir_gateway.web.booking_desk import BookingDesk, Change
from fhir_gateway.web.conditional_create import check_condition, created
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.idempotency import check_key, once
from fhir_gateway.web.operation.call import in_form, read_call, wanted_of
from fhir_gateway.web.precondition import (
    Precondition,
    precondition,
    refuse_precondition,
)

__all__ = ["Book"]


class Book:
    """
    Answers `$book`.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._desk = BookingDesk(gateway)
        self._answers = AppointmentAnswers(gateway)

    def answer(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer the present request."""
        body, call = read_call(BOOK, instance=id, base_url=self._gateway.base_url)
        is_new = call.known is None
        faults = Faults()
        with faults:
            if is_new:
                refuse_precondition()
            condition = precondition()
        with faults:
            if is_new:
                check_condition()
            else:
                check_key()
        with faults:
            wanted = wanted_of(
                call,
                base_url=self._gateway.base_url,
                to_book=is_new and not call.cancels,
                of_known=call.cancels,
                schedule_of=self._desk.schedule,
                service_type_of=self._desk.service_type,
            )
        faults.check()

        def book(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            if call.known is None:
                booked = self._desk.book(wanted, key)
                return booked.booking, self._booked(booked, call)
            return self._with_known(call.known, call, wanted, condition, key)

        def draw(booked: BookedTimeslot) -> Response:
            if booked.is_new or call.known is None:
                return self._booked(booked, call)
            return self._changed(booked.booking, call)

        if call.known is None and wanted.number is not None:
            return created(self._gateway, body, wanted.number, book, draw)
        return once(self._gateway, body, book, draw)

    def _with_known(
        self,
        known: str,
        call: AppointmentCall,
        wanted: AppointmentRequest,
        condition: Precondition,
        key: RequestKey | None,
    ) -> tuple[ManagedBooking, Response]:
        present = self._desk.read(known)
        token = TimeslotToken.parse(present.timeslot.token)
        stays = wanted.token is None or wanted.token == token
        if present.held_until is not None and stays and not call.cancels:
            condition.check(present.version)
            booked = self._desk.book_held(present, wanted, call.appointment, key)
            return booked.booking, self._booked(booked, call)
        if wanted.token is None:
            wanted = replace(wanted, token=token)
        version = condition.version(present.version)
        change = Change(wanted=wanted, sent=call.given, by_operation=True)
        changed = self._desk.change(present, change, version, key)
        return changed, self._changed(changed, call)

    def _booked(self, booked: BookedTimeslot, call: AppointmentCall) -> Response:
        return self._answers.booked(
            booked,
            self._desk.appointment(booked.booking),
            in_form(call.form, self._gateway.base_url),
        )

    def _changed(self, booking: ManagedBooking, call: AppointmentCall) -> Response:
        return self._answers.changed(
            booking,
            self._desk.appointment(booking),
            in_form(call.form, self._gateway.base_url),
        )
