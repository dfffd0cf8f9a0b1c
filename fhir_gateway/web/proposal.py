"""
Free times as proposed Appointments.
"""

from typing import Any

from fhir_gateway.fhir.appointment import proposed_appointment
from fhir_gateway.model.timeslot import TimeslotToken, TimeType
from fhir_gateway.services.search.search_page import FoundTimeslot
from fhir_gateway.web.gateway import Gateway

__all__ = ["Proposals"]


class Proposals:
    """
    Renders free times as proposed Appointments.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def find(self, identifier: str) -> dict[str, Any] | None:
        """Return the proposal with an id; None when no free time has that id."""
        try:
            token = TimeslotToken.parse(identifier)
        except ValueError:
            return None
        found = self._gateway.slot_search.find(token)
        return None if found is None else self.proposal(found)

    def proposal(self, found: FoundTimeslot) -> dict[str, Any]:
        """Return a free time as a proposed Appointment."""
        schedule = found.known.schedule
        directory = self._gateway.slot_search.snapshot.directory
        offering = directory.offerings.get(found.known.offering)
        unit = directory.units.get(schedule.unit)
        return proposed_appointment(
            found.timeslot,
            offering.time_type
            if offering
            else TimeType(id=schedule.time_type_id, name=schedule.time_type_name),
            unit_name=unit.name if unit else schedule.unit,
            source=found.known.source,
            answered_at=found.known.answered_at,
            vocabulary=self._gateway.vocabulary,
        )
