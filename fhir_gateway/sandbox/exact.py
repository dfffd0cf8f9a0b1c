"""
A booking system that keeps every rule of the contract (crm:scheduling 1.1.5).

The other two systems are subclasses with the habits of a real system: each overrides
single steps. All steps that can be overridden therefore stand in one class, and the
module has over 400 lines.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import ResultCode
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.interaction import Actor, ActorType, Interaction
from fhir_gateway.model.timekeeping import date_from_contract
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import Call, write_response
from fhir_gateway.rivta.scheduling_1_1.cancel_booking import (
    Request as CancelBookingRequest,
)
from fhir_gateway.rivta.scheduling_1_1.cancel_booking import (
    Response as CancelBookingResponse,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_care_types import (
    Request as CareTypesRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_healthcare_facilities import (
    Request as FacilitiesRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_healthcare_facilities import (
    Response as FacilitiesResponse,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_performers import (
    Request as PerformersRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_time_types import (
    Request as TimeTypesRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_available_dates import (
    Request as DatesRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_available_dates import (
    Response as DatesResponse,
)
from fhir_gateway.rivta.scheduling_1_1.get_available_timeslots import (
    Request as TimeslotsRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_available_timeslots import (
    Response as TimeslotsResponse,
)
from fhir_gateway.rivta.scheduling_1_1.get_booking_details import (
    Request as DetailsRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_booking_details import (
    Response as DetailsResponse,
)
from fhir_gateway.rivta.scheduling_1_1.get_subject_of_care_schedule import (
    Request as ScheduleRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_subject_of_care_schedule import (
    Response as ScheduleResponse,
)
from fhir_gateway.rivta.scheduling_1_1.make_booking import Request as MakeBookingRequest
from fhir_gateway.rivta.scheduling_1_1.make_booking import (
    Response as MakeBookingResponse,
)
from fhir_gateway.rivta.scheduling_1_1.types import (
    HealthcareFacilityInfoType,
    PerformerAvailabilityByDateType,
    TimeslotType,
)
from fhir_gateway.rivta.scheduling_1_1.update_booking import (
    Request as UpdateBookingRequest,
)
from fhir_gateway.rivta.scheduling_1_1.update_booking import (
    Response as UpdateBookingResponse,
)
from fhir_gateway.sandbox.agenda import PlannedTime
from fhir_gateway.sandbox.book import (
    Book,
    BookedTime,
    Party,
    Refusal,
    Refused,
    RequestedTime,
)
from fhir_gateway.sandbox.catalogue import (
    LocalTimeType,
    SandboxRegion,
    SandboxUnit,
)
from fhir_gateway.sandbox.directory_answers import (
    list_care_types,
    list_performers,
    list_time_types,
)
from fhir_gateway.sandbox.producer import (
    Outcome,
    is_person,
    server_fault,
)
from fhir_gateway.sandbox.request_check import read_checked_request
from fhir_gateway.sandbox.timeslot_answers import (
    timeslot_of_booking,
    timeslot_of_free_time,
)

__all__ = ["ExactProducer", "FreeTimesRequest"]

FreeTimesRequest = DatesRequest | TimeslotsRequest

_SWEDISH: Final[Mapping[Refusal, str]] = {
    Refusal.TAKEN: "Tiden har blivit upptagen av en annan patient.",
    Refusal.NO_SUCH_TIME: "Tiden finns inte längre. Välj en annan tid.",
    Refusal.NO_SUCH_BOOKING: "Bokningen finns inte.",
    Refusal.NO_SUCH_INVITATION: "Kallelsen finns inte eller är redan besvarad.",
    Refusal.OTHER_TIME_TYPE: "Kallelsen gäller en annan typ av tid.",
    Refusal.NO_SUCH_PERSON: "Personen finns inte i journalsystemet.",
    Refusal.NO_SUCH_PERFORMER: "Vårdgivaren finns inte på mottagningen.",
    Refusal.NO_SUCH_UNIT: "Tiden kan inte flyttas till den mottagningen.",
    Refusal.MAY_NOT_CHANGE: "Tiden kan inte ändras här. Ring mottagningen.",
    Refusal.MAY_NOT_MESSAGE: "Mottagningen tar inte emot meddelanden vid avbokning.",
}


class ExactProducer:
    """
    A booking system.

    Args:
        region: The region of the system.
        book: The bookings of the region.
    """

    texts: Mapping[Refusal, str] = _SWEDISH
    matches_exactly = True
    gives_new_id = False

    def __init__(self, region: SandboxRegion, book: Book) -> None:
        self._region = region
        self._book = book
        self._process: Mapping[Interaction, Callable[[Any, Actor | None], Outcome]] = {
            scheduling.GET_ALL_TIME_TYPES: self._time_types,
            scheduling.GET_ALL_CARE_TYPES: self._care_types,
            scheduling.GET_ALL_PERFORMERS: self._performers,
            scheduling.GET_ALL_HEALTHCARE_FACILITIES: self._facilities,
            scheduling.GET_AVAILABLE_DATES: self._dates,
            scheduling.GET_AVAILABLE_TIMESLOTS: self._timeslots,
            scheduling.GET_BOOKING_DETAILS: self._details,
            scheduling.GET_SUBJECT_OF_CARE_SCHEDULE: self._schedule_at_unit,
            scheduling.MAKE_BOOKING: self._make,
            scheduling.UPDATE_BOOKING: self._update,
            scheduling.CANCEL_BOOKING: self._cancel,
        }

    # Which calls it accepts

    def serves(self, logical_address: str) -> bool:
        """Return whether the address is one of the region's units."""
        return self._region.unit(logical_address) is not None

    def request(
        self, contract: Contract[Any, Any], call: Call, *, soap_action: str
    ) -> Any:  # noqa: ANN401 - each contract has its own
        """Return the request; any deviation from the schema is a fault."""
        return read_checked_request(
            contract,
            call,
            soap_action=soap_action,
            aggregated_address=self._region.aggregated_address,
        )

    # How it answers

    def process(
        self,
        interaction: Interaction,
        request: Any,  # noqa: ANN401 - each contract has its own
        actor: Actor | None,
    ) -> Outcome:
        """Process a request; a refused write is an ERROR with a Swedish text."""
        return self._process[interaction](request, actor)

    def schedule(
        self, subject_of_care: str, *, without: Sequence[str] = ()
    ) -> ScheduleResponse:
        """Return a resident's coming bookings at all units except some."""
        return ScheduleResponse(
            timeslot_detail=tuple(
                self.timeslot_of_booking(booked)
                for booked in self._book.coming(subject_of_care)
                if booked.unit.hsa_id not in without
            )
        )

    def document(
        self,
        contract: Contract[Any, Any],
        interaction: Interaction,  # noqa: ARG002 - habits depend on it
        outcome: Outcome,
    ) -> bytes:
        """Return the document of the answer, as the strict writer makes it."""
        return write_response(
            contract, outcome.response, processing_status=outcome.processing_status
        )

    # What its lists contain

    def timeslot_of_free_time(
        self,
        time: PlannedTime,
        request: FreeTimesRequest,  # noqa: ARG002 - habits depend on it
    ) -> TimeslotType:
        """Return a free time as a list of free times has it."""
        return timeslot_of_free_time(time)

    def timeslot_of_booking(self, booked: BookedTime) -> TimeslotType:
        """Return a booking or an invitation as an answer has it."""
        return timeslot_of_booking(booked)

    def free_times(
        self, unit: SandboxUnit, request: FreeTimesRequest
    ) -> list[PlannedTime]:
        """
        Return the free times that a request asks for.

        With a booking id, only times of the booking's own time type, also protected
        ones. An unknown booking, and another resident's, has none.
        """
        if request.booking_id is None:
            chosen = self._open_time_types(unit)
        else:
            try:
                booked = self._book.get(request.booking_id)
            except Refused:
                return []
            if booked.party.subject_of_care != request.subject_of_care:
                return []
            chosen = tuple(
                each for each in unit.time_types if each.key == booked.time_type.key
            )
        return self._free(unit, request, _filter(chosen, request))

    def _free(
        self,
        unit: SandboxUnit,
        request: FreeTimesRequest,
        chosen: Sequence[LocalTimeType],
    ) -> list[PlannedTime]:
        requested = {performer.upper() for performer in request.performer}
        return [
            time
            for time in self._book.free(
                unit,
                date_from_contract(request.start_date_inclusive),
                date_from_contract(request.end_date_inclusive),
                time_types=chosen,
            )
            if not requested
            or (time.calendar.performer and time.calendar.performer.hsa_id in requested)
        ]

    def _open_time_types(self, unit: SandboxUnit) -> tuple[LocalTimeType, ...]:
        return tuple(
            each for each in unit.time_types if not self._book.is_protected(unit, each)
        )

    # The reads

    def _time_types(self, request: TimeTypesRequest, _actor: Actor | None) -> Outcome:
        unit = self._region.unit(request.healthcare_facility)
        offered = () if unit is None else self._open_time_types(unit)
        return Outcome(response=list_time_types(offered, request))

    def _care_types(self, request: CareTypesRequest, _actor: Actor | None) -> Outcome:
        unit = self._region.unit(request.healthcare_facility)
        return Outcome(response=list_care_types(unit, request))

    def _performers(self, request: PerformersRequest, _actor: Actor | None) -> Outcome:
        unit = self._region.unit(request.healthcare_facility)
        return Outcome(response=list_performers(unit, request))

    def _facilities(self, request: FacilitiesRequest, _actor: Actor | None) -> Outcome:
        unit = self._region.unit(request.healthcare_facility)
        units = self.facilities(unit, request.booking_id) if unit else ()
        if request.booking_id is not None and not self._is_of(
            request.booking_id, request.subject_of_care
        ):
            units = ()
        return Outcome(
            response=FacilitiesResponse(
                healthcare_facility_infos=tuple(
                    HealthcareFacilityInfoType(
                        healthcare_facility=each.hsa_id,
                        healthcare_facility_name=each.care_unit.name,
                    )
                    for each in units
                )
            )
        )

    def _is_of(self, booking_id: str, subject_of_care: str) -> bool:
        """Return whether a booking is a resident's; true also where there is none."""
        try:
            booked = self._book.get(booking_id)
        except Refused:
            return True
        return booked.party.subject_of_care == subject_of_care

    def facilities(
        self, unit: SandboxUnit, booking_id: str | None
    ) -> Sequence[SandboxUnit]:
        """
        Return the units at which a resident can book: those of the same kind.

        Units of one kind share their time types. An unknown booking has no units.
        """
        if booking_id is not None:
            try:
                unit = self._book.get(booking_id).unit
            except Refused:
                return ()
        return [each for each in self._region.units if each.kind == unit.kind]

    def _dates(self, request: DatesRequest, _actor: Actor | None) -> Outcome:
        unit = self._region.unit(request.healthcare_facility)
        days = {
            (time.start[:8], time.calendar.number, time.time_type.id): time
            for time in (self.free_times(unit, request) if unit else ())
        }
        return Outcome(
            response=DatesResponse(
                performer_availability_by_date=tuple(
                    self.available_date(time, request) for time in days.values()
                )
            )
        )

    def available_date(
        self, time: PlannedTime, request: DatesRequest
    ) -> PerformerAvailabilityByDateType:
        """Return the day of a free time as a list of days has it."""
        slot = self.timeslot_of_free_time(time, request)
        return PerformerAvailabilityByDateType(
            healthcare_facility=slot.healthcare_facility,
            performer=slot.performer,
            date=time.start[:8],
            resource_name=slot.resource_name,
            resource_id=slot.resource_id,
            time_type_name=slot.time_type_name,
            time_type_id=slot.time_type_id,
            care_type_name=slot.care_type_name,
            care_type_id=slot.care_type_id,
        )

    def _timeslots(self, request: TimeslotsRequest, _actor: Actor | None) -> Outcome:
        unit = self._region.unit(request.healthcare_facility)
        return Outcome(
            response=TimeslotsResponse(
                timeslot_detail=tuple(
                    self.timeslot_of_free_time(time, request)
                    for time in (self.free_times(unit, request) if unit else ())
                )
            )
        )

    def _details(self, request: DetailsRequest, actor: Actor | None) -> Outcome:
        try:
            booked = self._find(request.booking_id, request.healthcare_facility, actor)
        except Refused:
            return self.answer_unknown_booking()
        return Outcome(
            response=DetailsResponse(timeslot_detail=self.timeslot_of_booking(booked))
        )

    def answer_unknown_booking(self) -> Outcome:
        """
        Answer a request for a booking that does not exist.

        Raises:
            ProducerFault: The contract has no other answer for it.
        """
        raise server_fault("Bokningen finns inte")

    def _schedule_at_unit(
        self, request: ScheduleRequest, _actor: Actor | None
    ) -> Outcome:
        here = request.healthcare_facility.upper()
        return Outcome(
            response=self.schedule(
                request.subject_of_care,
                without=[
                    unit.hsa_id for unit in self._region.units if unit.hsa_id != here
                ],
            )
        )

    # The writes

    def _make(self, request: MakeBookingRequest, _actor: Actor | None) -> Outcome:
        slot = request.requested_timeslot
        try:
            requested, party = self.requested_time(slot)
            booked = self.book(request, requested, party)
        except Refused as refused:
            return Outcome(
                response=MakeBookingResponse(
                    result_code=ResultCode.ERROR.value,
                    result_text=self.refusal_text(refused.refusal),
                )
            )
        code, text = self.booking_result(request, booked)
        return Outcome(
            response=MakeBookingResponse(
                booking_id=booked.booking_id, result_code=code.value, result_text=text
            ),
            booked=booked,
            booking_id=booked.booking_id,
        )

    def requested_time(self, slot: TimeslotType) -> tuple[RequestedTime, Party]:
        """
        Return the requested time and its resident.

        Raises:
            Refused: There is no such unit or person.
        """
        unit = self._region.unit(slot.healthcare_facility)
        if unit is None:
            raise Refused(Refusal.NO_SUCH_UNIT)
        subject_of_care = slot.subject_of_care or ""
        if not is_person(subject_of_care):
            raise Refused(Refusal.NO_SUCH_PERSON)
        return (
            RequestedTime(
                unit=unit,
                start=slot.start_time_inclusive or "",
                end=slot.end_time_exclusive or "",
                time_type_id=slot.time_type_id,
                performer=slot.performer.upper() if slot.performer else None,
                resource_id=slot.resource_id,
                exact=self.matches_exactly,
            ),
            Party(subject_of_care=subject_of_care, reason=slot.reason),
        )

    def book(
        self, request: MakeBookingRequest, requested: RequestedTime, party: Party
    ) -> BookedTime:
        """
        Book a time; a booking id is that of the open invitation that it answers.

        Raises:
            Refused: The time cannot be booked.
        """
        booking_id = request.requested_timeslot.booking_id
        if booking_id is None:
            return self._book.make(requested, party)
        if requested.unit not in self.facilities(requested.unit, booking_id):
            raise Refused(Refusal.NO_SUCH_INVITATION)
        return self._book.accept(BookingId(booking_id), requested, party)

    def booking_result(
        self,
        request: MakeBookingRequest,  # noqa: ARG002 - habits depend on it
        booked: BookedTime,
    ) -> tuple[ResultCode, str | None]:
        """Return the result code and the text for a successful booking."""
        info = booked.time_type.info
        return (ResultCode.INFO, info) if info else (ResultCode.OK, None)

    def _update(self, request: UpdateBookingRequest, _actor: Actor | None) -> Outcome:
        slot = request.requested_timeslot
        booking_id = slot.booking_id or ""
        try:
            requested, party = self.requested_time(slot)
            self._check_destination(booking_id, requested.unit)
            booked = self._book.move(
                BookingId(booking_id), requested, party, new_id=self.gives_new_id
            )
        except Refused as refused:
            return Outcome(
                response=UpdateBookingResponse(
                    result_code=ResultCode.ERROR.value,
                    result_text=self.refusal_text(refused.refusal),
                )
            )
        info = booked.time_type.info
        return Outcome(
            response=UpdateBookingResponse(
                result_code=(ResultCode.INFO if info else ResultCode.OK).value,
                result_text=info,
            ),
            booked=booked,
            booking_id=booked.booking_id,
        )

    def _cancel(self, request: CancelBookingRequest, actor: Actor | None) -> Outcome:
        try:
            booked = self._find(request.booking_id, request.healthcare_facility, actor)
            self._check_message(booked, request.message)
            booked = self._book.cancel(booked.booking_id)
        except Refused as refused:
            return Outcome(
                response=CancelBookingResponse(
                    result_code=ResultCode.ERROR.value,
                    result_text=self.refusal_text(refused.refusal),
                )
            )
        return Outcome(
            response=CancelBookingResponse(
                result_code=ResultCode.OK.value, result_text=self.cancellation_text()
            ),
            booked=booked,
            booking_id=booked.booking_id,
        )

    def _find(self, booking_id: str, facility: str, actor: Actor | None) -> BookedTime:
        booked = self._book.get(booking_id)
        if booked.unit.hsa_id != facility.upper() or not _may_see(actor, booked):
            raise Refused(Refusal.NO_SUCH_BOOKING)
        return booked

    def _check_destination(self, booking_id: str, unit: SandboxUnit) -> None:
        booked = self._book.get(booking_id)
        if unit not in self.facilities(booked.unit, booking_id):
            raise Refused(Refusal.NO_SUCH_UNIT)

    def _check_message(self, booked: BookedTime, message: str | None) -> None:
        if message and not self.accepts_message(booked):
            raise Refused(Refusal.MAY_NOT_MESSAGE)

    def accepts_message(self, booked: BookedTime) -> bool:
        """Return whether a cancellation may have a message."""
        return booked.time_type.may_message

    def cancellation_text(self) -> str | None:
        """Return the text for a successful cancellation, or None."""
        return None

    def refusal_text(self, refusal: Refusal) -> str:
        """Return the text for a refused write."""
        return self.texts[refusal]


def _filter(
    chosen: Sequence[LocalTimeType], request: FreeTimesRequest
) -> tuple[LocalTimeType, ...]:
    return tuple(
        each
        for each in chosen
        if request.time_type_id in (None, each.id)
        and request.time_type_name in (None, each.name)
        and (
            request.care_type_id is None
            or (each.care_type and each.care_type.id == request.care_type_id)
        )
    )


def _may_see(actor: Actor | None, booked: BookedTime) -> bool:
    # Requests by booking id name no resident in the body, only in the header.
    return (
        actor is None
        or actor.type is ActorType.AGENT
        or actor.id == booked.party.subject_of_care
    )
