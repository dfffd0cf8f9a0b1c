"""
`Appointment/$book`: books, converts a hold, moves or cancels (IHE ITI-117, Argonaut).

The status and the id of the sent Appointment choose among them, as in IHE and WOF;
create, update and patch use the same commands.
"""

from dataclasses import replace

from flask import Response

from fhir_gateway.fhir.appointment_operation import BOOK, AppointmentCall
from fhir_gateway.fhir.appointment_request import AppointmentRequest
from fhir_gateway.fhir.outcome import Faults
from fhir_gateway.model.booking import ManagedBooking
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.booking.request import BookedTimeslot
from fhir_gateway.web.appointment_answer import AppointmentAnswers, Wrap
from fhir_gateway.web.appointment_commands import AppointmentCommands
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.change_checks import Change
from fhir_gateway.web.conditional_create import check_condition, create_once
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.idempotency import answer_once, check_key
from fhir_gateway.web.identity import admit_change, grant_for_booking, grant_for_person
from fhir_gateway.web.invitation_commands import InvitationCommands
from fhir_gateway.web.operation.call import in_form, known_of, read_call, wanted_of
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
        self._commands = AppointmentCommands(gateway)
        self._invitations = InvitationCommands(gateway)
        self._view = AppointmentView(gateway)
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
                check_condition(self._gateway.base_url)
            else:
                check_key()
        with faults:
            wanted = wanted_of(
                call,
                base_url=self._gateway.base_url,
                to_book=is_new and not call.cancels,
                schedule_of=self._view.schedule,
                service_type_of=self._view.service_type,
            )
        faults.check()

        grant = self._grant(call, wanted)

        def book(key: RequestKey | None) -> tuple[ManagedBooking, Response]:
            if call.known is None:
                booked = self._commands.book(wanted, grant, key)
                return booked.booking, self._answer_booked(booked, call)
            return self._act_on_known(grant, call, wanted, condition, key)

        def render(booked: BookedTimeslot) -> Response:
            if booked.is_new or call.known is None:
                return self._answer_booked(booked, call)
            return self._answer_changed(booked.booking, call)

        if call.known is None:
            return create_once(self._gateway, grant, body, book, render)
        return answer_once(self._gateway, grant, body, book, render)

    def _grant(self, call: AppointmentCall, wanted: AppointmentRequest) -> Grant:
        if call.known is not None:
            return grant_for_booking(self._gateway, call.known)
        if wanted.number is None or wanted.token is None:
            raise TypeError("the request was not read to book")
        return grant_for_person(self._gateway, wanted.number, wanted.token.unit)

    def _act_on_known(
        self,
        grant: Grant,
        call: AppointmentCall,
        wanted: AppointmentRequest,
        condition: Precondition,
        key: RequestKey | None,
    ) -> tuple[ManagedBooking, Response]:
        invitation = self._invitations.find(known_of(call), grant)
        if invitation is not None:
            booking = self._invitations.take_up(
                invitation,
                grant,
                Change(wanted=wanted, sent=call.given, by_operation=True),
                condition.version(invitation.version),
                key,
            )
            return booking, self._answer_booked(
                BookedTimeslot(booking=booking, is_new=True), call
            )
        present = self._commands.read(known_of(call), grant)
        token = TimeslotToken.parse(present.timeslot.token)
        stays = wanted.token is None or wanted.token == token
        if present.held_until is not None and stays and not call.cancels:
            condition.check(present.version)
            booked = self._commands.book_held(
                present, grant, wanted, call.appointment, key
            )
            return booked.booking, self._answer_booked(booked, call)
        admit_change(self._gateway)
        if wanted.token is None:
            wanted = replace(wanted, token=token)
        version = condition.version(present.version)
        change = Change(wanted=wanted, sent=call.given, by_operation=True)
        changed = self._commands.change(present, grant, change, version, key)
        return changed, self._answer_changed(changed, call)

    def _answer_booked(self, booked: BookedTimeslot, call: AppointmentCall) -> Response:
        return self._answers.booked(
            booked,
            self._view.appointment(booked.booking),
            self._form(booked.booking, call),
        )

    def _answer_changed(
        self, booking: ManagedBooking, call: AppointmentCall
    ) -> Response:
        return self._answers.changed(
            booking, self._view.appointment(booking), self._form(booking, call)
        )

    def _form(self, booking: ManagedBooking, call: AppointmentCall) -> Wrap:
        slot = self._view.slot(booking)
        return in_form(call.form, self._gateway.base_url, slot=slot)
