"""
A booking system with the habits of Schedulr, a demonstration producer (contracts 1.1).

Its code and its recorded messages show English errors, an answer without its required
element, and free times that repeat elements of the request.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from lxml import etree

from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import Call, read_request, write_response
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.get_booking_details import (
    Response as DetailsResponse,
)
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType
from fhir_gateway.rivta.scheduling_1_1.update_booking import (
    Request as UpdateBookingRequest,
)
from fhir_gateway.rivta.xml import parse
from fhir_gateway.sandbox.agenda import PlannedTime
from fhir_gateway.sandbox.book import BookedTime, Party, Refusal, Refused, RequestedTime
from fhir_gateway.sandbox.exact import ExactProducer, FreeTimesRequest
from fhir_gateway.sandbox.producer import Outcome, client_fault, server_fault

__all__ = ["SchedulrProducer"]

_ENGLISH: Final[Mapping[Refusal, str]] = {
    Refusal.TAKEN: "Timeslot is not available",
    Refusal.NO_SUCH_TIME: "Timeslot is not available",
    Refusal.NO_SUCH_BOOKING: "Booking not found",
    Refusal.NO_SUCH_INVITATION: "Booking not found",
    Refusal.OTHER_TIME_TYPE: "Time type does not match the booking",
    Refusal.NO_SUCH_PERSON: "Subject of care not found",
    Refusal.NO_SUCH_PERFORMER: "Performer not found",
    Refusal.NO_SUCH_UNIT: "Healthcare facility not found",
    Refusal.MAY_NOT_CHANGE: "Booking can not be changed",
    Refusal.MAY_NOT_MESSAGE: "Message not allowed",
}


class SchedulrProducer(ExactProducer):
    """A booking system that checks the arguments of a request, not their order."""

    texts = _ENGLISH
    matches_exactly = False

    def serves(self, logical_address: str) -> bool:
        """Return whether the address is of its organisation, also without a unit."""
        return logical_address.upper().startswith(self._region.hsa_prefix)

    def request(
        self,
        contract: Contract[Any, Any],
        call: Call,
        *,
        soap_action: str,  # noqa: ARG002 - it never looks at it
    ) -> Any:  # noqa: ANN401 - each contract has its own
        """Return the request in any order; a missing argument is a fault."""
        try:
            request = read_request(contract, call)
        except MalformedElement as error:
            raise client_fault(
                f"Missing or invalid argument: {error.element}"
            ) from None
        if isinstance(request, UpdateBookingRequest):
            if request.subject_of_care_info is None:
                raise server_fault("java.lang.NullPointerException")
            if request.requested_timeslot.booking_id is None:
                raise client_fault("Missing or invalid argument: bookingId")
        if call.logical_address == self._region.aggregated_address:
            return request
        slot = getattr(request, "requested_timeslot", None)
        facility = (request if slot is None else slot).healthcare_facility
        if (call.logical_address or "").upper() != facility.upper():
            raise client_fault("LogicalAddress does not match healthcare_facility")
        if slot is not None:
            _check_arguments(slot)
        return request

    def document(
        self, contract: Contract[Any, Any], interaction: Interaction, outcome: Outcome
    ) -> bytes:
        """Return the document of the answer; an unknown booking has no details."""
        if outcome.response is not None:
            return super().document(contract, interaction, outcome)
        # The strict writer requires the element, so it is removed after writing.
        filler = DetailsResponse(timeslot_detail=TimeslotType(healthcare_facility="-"))
        envelope = parse(write_response(contract, filler))
        for response in envelope.iter(contract.response_tag):
            del response[:]
        return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")

    def timeslot_of_free_time(
        self, time: PlannedTime, request: FreeTimesRequest
    ) -> TimeslotType:
        """Return a free time with the booking id and the resident of the request."""
        return replace(
            super().timeslot_of_free_time(time, request),
            booking_id=request.booking_id,
            subject_of_care=request.subject_of_care,
        )

    def timeslot_of_booking(self, booked: BookedTime) -> TimeslotType:
        """Return a booking; the performer's title stands after the name."""
        slot = super().timeslot_of_booking(booked)
        performer = booked.time.calendar.performer if booked.time else None
        if performer is None:
            return slot
        name = f"{performer.first_name} {performer.last_name}, {performer.title}"
        return replace(slot, performer_name=name)

    def answer_unknown_booking(self) -> Outcome:
        """Answer a request for a booking that does not exist, without an element."""
        return Outcome(response=None)

    def requested_time(self, slot: TimeslotType) -> tuple[RequestedTime, Party]:
        """
        Return the requested time and its resident.

        Raises:
            Refused: There is no such unit, person or performer.
        """
        requested, party = super().requested_time(slot)
        staff = {performer.hsa_id for performer in requested.unit.performers}
        if requested.performer is not None and requested.performer not in staff:
            raise Refused(Refusal.NO_SUCH_PERFORMER)
        return requested, party


def _check_arguments(slot: TimeslotType) -> None:
    for name, value in (
        ("startTimeInclusive", slot.start_time_inclusive),
        ("endTimeExclusive", slot.end_time_exclusive),
        ("subject_of_care", slot.subject_of_care),
    ):
        if value is None:
            raise client_fault(f"Missing or invalid argument: {name}")
