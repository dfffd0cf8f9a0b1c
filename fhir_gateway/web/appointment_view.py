"""
Appointments and slots as clients see them, from the present snapshot.
"""

from typing import Any

from fhir_gateway.fhir.appointment import appointment_from_booking
from fhir_gateway.fhir.open_invitation import appointment_from_invitation
from fhir_gateway.fhir.service_type import service_type_from_time_type
from fhir_gateway.fhir.slot import SlotStatus, slot_from_timeslot
from fhir_gateway.model.booking import BookingStatus, ManagedBooking
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.timeslot import (
    Schedule,
    TimeslotToken,
    TimeType,
    time_type_token,
)
from fhir_gateway.web.gateway import Gateway

__all__ = ["AppointmentView"]


class AppointmentView:
    """
    Renders appointments, with what the present snapshot knows of their units.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def schedule(self, token: TimeslotToken) -> Schedule | None:
        """Return a slot's schedule; None where this process does not know it."""
        schedules = self._gateway.slot_search.snapshot.schedules
        number = schedules.number(token.schedule)
        return None if number is None else schedules[number]

    def service_type(self, token: TimeslotToken) -> dict[str, Any] | None:
        """Return a slot's `serviceType`; None where this process does not know it."""
        directory = self._gateway.slot_search.snapshot.directory
        offering = directory.offerings.get(token.time_type)
        if offering is None:
            return None
        return service_type_from_time_type(
            offering.time_type, token.unit, self._gateway.vocabulary
        )

    def slot(self, booking: ManagedBooking) -> dict[str, Any] | None:
        """Return the Slot that a booking takes; None where none can be shown."""
        known = self._gateway.slot_search.snapshot.known(
            booking.timeslot.schedule.token
        )
        if known is None or booking.status is BookingStatus.CANCELLED:
            return None
        directory = self._gateway.slot_search.snapshot.directory
        offering = directory.offerings.get(known.offering)
        if offering is None:
            return None
        return slot_from_timeslot(
            booking.timeslot,
            offering.time_type,
            source=known.source,
            answered_at=known.answered_at,
            vocabulary=self._gateway.vocabulary,
            status=(
                SlotStatus.BUSY
                if booking.status is BookingStatus.BOOKED
                else SlotStatus.BUSY_TENTATIVE
            ),
        )

    def resource(self, found: ManagedBooking | OpenInvitation) -> dict[str, Any]:
        """Return the Appointment of a booking or of an open invitation."""
        if isinstance(found, OpenInvitation):
            return self.invitation(found)
        return self.appointment(found)

    def invitation(self, invitation: OpenInvitation) -> dict[str, Any]:
        """Return the Appointment of an open invitation."""
        schedule = invitation.schedule
        directory = self._gateway.slot_search.snapshot.directory
        offering = directory.offerings.get(
            time_type_token(schedule.unit, schedule.time_type_id)
        )
        unit = directory.units.get(schedule.unit)
        return appointment_from_invitation(
            invitation,
            offering.time_type
            if offering
            else TimeType(id=schedule.time_type_id, name=schedule.time_type_name),
            unit_name=unit.name if unit else schedule.unit,
            vocabulary=self._gateway.vocabulary,
            is_offered=offering is not None,
        )

    def appointment(self, booking: ManagedBooking) -> dict[str, Any]:
        """Return the Appointment of a booking."""
        schedule = booking.timeslot.schedule
        snapshot = self._gateway.slot_search.snapshot
        offering = snapshot.directory.offerings.get(
            time_type_token(schedule.unit, schedule.time_type_id)
        )
        unit = snapshot.directory.units.get(schedule.unit)
        return appointment_from_booking(
            booking,
            offering.time_type
            if offering
            else TimeType(id=schedule.time_type_id, name=schedule.time_type_name),
            unit_name=unit.name if unit else schedule.unit,
            vocabulary=self._gateway.vocabulary,
            is_offered=offering is not None,
            is_listed=(
                # Every free time is longer than zero.
                booking.timeslot.start < booking.timeslot.end
                and snapshot.schedules.number(schedule.token) is not None
            ),
        )
