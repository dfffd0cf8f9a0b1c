"""
A booking system with the habits of the TakeCare adapter (contracts 1.0).

Its code and its recorded messages show empty elements, times of twelve digits, a
resource type in the field of the performer's HSA-id, and business errors as SOAP
faults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lxml import etree

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import ResultCode
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import Call, read_request, write_response
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.get_available_dates import (
    Request as DatesRequest,
)
from fhir_gateway.rivta.scheduling_1_1.make_booking import Request as MakeBookingRequest
from fhir_gateway.rivta.scheduling_1_1.types import (
    CORE,
    PerformerAvailabilityByDateType,
    TimeslotType,
)
from fhir_gateway.rivta.xml import parse
from fhir_gateway.sandbox.agenda import PlannedTime
from fhir_gateway.sandbox.book import BookedTime, Party, Refusal, Refused, RequestedTime
from fhir_gateway.sandbox.catalogue import SandboxUnit
from fhir_gateway.sandbox.exact import ExactProducer, FreeTimesRequest
from fhir_gateway.sandbox.producer import Outcome, ProducerFault, server_fault

__all__ = ["TakeCareProducer"]

_MOST_REASON: Final = 300

_ORDER: Final = (
    "startTimeInclusive",
    "endTimeExclusive",
    "healthcare_facility",
    "performer",
    "bookingId",
    "subject_of_care",
    "purpose",
    "reason",
    "resourceName",
    "healthcare_facility_name",
    "performerName",
    "resourceID",
    "timeTypeName",
    "timeTypeID",
    "careTypeName",
    "careTypeID",
)
_TIMES: Final = _ORDER[:2]

_SHOWS_BOOKINGS: Final = frozenset(
    {scheduling.GET_BOOKING_DETAILS, scheduling.GET_SUBJECT_OF_CARE_SCHEDULE}
)

# Only 3001 is known. The sandbox chose the others: the real list is not published.
_FAULTS: Final[Mapping[Refusal, str]] = {
    Refusal.TAKEN: "resultCode: 3010 resultText: Time already booked!",
    Refusal.NO_SUCH_TIME: "resultCode: 3011 resultText: Time not available!",
    Refusal.NO_SUCH_BOOKING: "resultCode: 3012 resultText: Booking not found!",
    Refusal.MAY_NOT_CHANGE: "resultCode: 3013 resultText: Booking is locked!",
    Refusal.NO_SUCH_PERSON: "resultCode: 3014 resultText: Patient not found!",
}
_ILLEGAL_ARGUMENT: Final = "resultCode: 3001 resultText: Illegal argument!"


class TakeCareProducer(ExactProducer):
    """A booking system of rooms, behind an adapter that deviates from the contract."""

    matches_exactly = False
    gives_new_id = True

    def request(
        self,
        contract: Contract[Any, Any],
        call: Call,
        *,
        soap_action: str,  # noqa: ARG002 - it never looks at it
    ) -> Any:  # noqa: ANN401 - each contract has its own
        """Return the request in any order and namespace, with any header."""
        try:
            return read_request(contract, call)
        except MalformedElement:
            raise _illegal_argument() from None

    def document(
        self, contract: Contract[Any, Any], interaction: Interaction, outcome: Outcome
    ) -> bytes:
        """Return the document of the answer, with empty elements."""
        envelope = parse(
            write_response(
                contract, outcome.response, processing_status=outcome.processing_status
            )
        )
        for slot in envelope.iter(f"{{{contract.namespace}}}timeslotDetail"):
            _fill_with_empty_elements(slot)
            if interaction in _SHOWS_BOOKINGS:
                for name in _TIMES:
                    for time in slot.iterchildren(f"{{{CORE}}}{name}"):
                        time.text = (time.text or "")[:12]
        if interaction == scheduling.MAKE_BOOKING:
            _add_empty_result_text(envelope, contract)
        return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")

    def timeslot_of_free_time(
        self, time: PlannedTime, request: FreeTimesRequest
    ) -> TimeslotType:
        """Return a free time with its room; its flags say nothing about a booking."""
        resource = time.calendar.resource
        return replace(
            super().timeslot_of_free_time(time, request),
            resource_name=resource.name if resource else None,
            resource_id=resource.id if resource else None,
            cancel_booking_allowed=False,
            rebooking_allowed=False,
            message_allowed=True,
        )

    def timeslot_of_booking(self, booked: BookedTime) -> TimeslotType:
        """Return a booking with the room as its performer, and without two flags."""
        resource = booked.time.calendar.resource if booked.time else None
        return replace(
            super().timeslot_of_booking(booked),
            performer=resource.kind if resource else None,
            performer_name=resource.name if resource else None,
            resource_id=resource.id if resource else None,
            message_allowed=None,
            is_invitation=None,
        )

    def available_date(
        self, time: PlannedTime, request: DatesRequest
    ) -> PerformerAvailabilityByDateType:
        """Return the day of a free time; the unit's name replaces the room's."""
        return replace(
            super().available_date(time, request),
            resource_name=time.unit.care_unit.name,
        )

    def free_times(
        self, unit: SandboxUnit, request: FreeTimesRequest
    ) -> list[PlannedTime]:
        """
        Return the free times; requested performers are ignored.

        With a booking id the time type is ignored: the answer lists all times of its
        room.
        """
        anybody = replace(request, performer=())
        if request.booking_id is None:
            return super().free_times(unit, anybody)
        try:
            booked = self._book.get(request.booking_id)
        except Refused:
            raise _illegal_argument() from None
        number = booked.time.calendar.number if booked.time else None
        return [
            time
            for time in self._free(unit, anybody, unit.time_types)
            if time.calendar.number == number
        ]

    def facilities(
        self,
        unit: SandboxUnit,
        booking_id: str | None,  # noqa: ARG002 - every booking stays where it is
    ) -> Sequence[SandboxUnit]:
        """Return the unit itself: no booking can move to another."""
        return (unit,)

    def answer_unknown_booking(self) -> Outcome:
        """
        Answer a request for a booking that does not exist.

        Raises:
            ProducerFault: Always.
        """
        raise server_fault(_FAULTS[Refusal.NO_SUCH_BOOKING])

    def requested_time(self, slot: TimeslotType) -> tuple[RequestedTime, Party]:
        """
        Return the requested time and its resident; the reason is cut at 300 characters.

        Raises:
            ProducerFault: A needed element is missing, or an id is not a number.
        """
        needed = (slot.start_time_inclusive, slot.end_time_exclusive)
        ids = (slot.subject_of_care, slot.resource_id, slot.time_type_id)
        if not all(needed) or not all(text and text.isdecimal() for text in ids):
            raise _illegal_argument()
        # Its bookings have a resource type as performer; in a request it ignores it.
        requested, party = super().requested_time(replace(slot, performer=None))
        reason = party.reason[:_MOST_REASON] if party.reason else None
        return requested, replace(party, reason=reason)

    def book(
        self,
        request: MakeBookingRequest,  # noqa: ARG002 - a booking id in it is ignored
        requested: RequestedTime,
        party: Party,
    ) -> BookedTime:
        """Book a time."""
        return self._book.make(requested, party)

    def booking_result(
        self,
        request: MakeBookingRequest,
        booked: BookedTime,  # noqa: ARG002 - only the telephone number decides
    ) -> tuple[ResultCode, str | None]:
        """Return INFO for a request with a telephone number, which it cannot store."""
        if request.subject_of_care_info.phone:
            return (
                ResultCode.INFO,
                "Tyvärr kunde inte telefonnumret sparas med bokningen",
            )
        return ResultCode.OK, None

    def accepts_message(self, booked: BookedTime) -> bool:  # noqa: ARG002 - it accepts all
        """Return True: it accepts every message."""
        return True

    def cancellation_text(self) -> str | None:
        """Return its text for a successful cancellation."""
        return "CANCELLED"

    def refusal_text(self, refusal: Refusal) -> str:
        """
        Answer a refused write.

        Raises:
            ProducerFault: Always; the system has no result code ERROR.
        """
        raise server_fault(_FAULTS.get(refusal, _ILLEGAL_ARGUMENT))


def _illegal_argument() -> ProducerFault:
    return server_fault(_ILLEGAL_ARGUMENT)


def _fill_with_empty_elements(slot: etree._Element) -> None:
    for position, name in enumerate(_ORDER):
        tag = f"{{{CORE}}}{name}"
        if position >= len(slot) or slot[position].tag != tag:
            slot.insert(position, etree.Element(tag))


def _add_empty_result_text(
    envelope: etree._Element, contract: Contract[Any, Any]
) -> None:
    tag = f"{{{contract.namespace}}}resultText"
    for response in envelope.iter(contract.response_tag):
        if response.find(tag) is None:
            etree.SubElement(response, tag)
