"""
The adapter for crm:scheduling 1.1: eleven interactions, one call each.

It is one class of over 400 lines, since the port and its abilities require a method for
each interaction. What all methods share stands once, at the end.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from fhir_gateway.adapters.protocol import CareType
from fhir_gateway.adapters.scheduling_1_1.booking_mapping import (
    answered_units,
    booking_from_wire,
    cached_parts,
    check_booking_id,
    lost_starts,
    names_any,
    silences,
    subject_of_care_info,
    unreached_units,
)
from fhir_gateway.adapters.scheduling_1_1.directory_mapping import (
    care_type_from_wire,
    care_unit_from_wire,
    performer_info_from_wire,
    read_list,
    time_type_from_wire,
)
from fhir_gateway.adapters.scheduling_1_1.options import (
    BookingIdInMakeBooking,
    Options,
)
from fhir_gateway.adapters.scheduling_1_1.timeslot_mapping import (
    available_date_from_wire,
    free_times_from_answer,
    requested_timeslot,
)
from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import (
    BookedTimes,
    Booking,
    KeptPart,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.errors import (
    GatewayError,
    MalformedAnswer,
    NotFound,
    Refused,
    SourceFault,
    Unsupported,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import (
    BookingId,
    HsaId,
    LogicalAddress,
    SourceName,
)
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetAllCareTypes,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.model.timekeeping import civil_date_text
from fhir_gateway.model.timeslot import AvailableDate, FreeTimes, TimeType
from fhir_gateway.rivta.client import FaultedWrite, SoapClient
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import ContractAnswer
from fhir_gateway.rivta.limit import MOST_OF_TEXT
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1 import (
    cancel_booking,
    get_all_care_types,
    get_all_healthcare_facilities,
    get_all_performers,
    get_all_time_types,
    get_available_dates,
    get_available_timeslots,
    get_booking_details,
    get_subject_of_care_schedule,
    make_booking,
    update_booking,
)
from fhir_gateway.rivta.transport import Credentials, Transport

__all__ = ["Scheduling11"]

# The contract requires that the region's text is shown. A reader must therefore also
# see that a part of it is missing.
_TEXT_LEFT_OUT: Final = (
    f"The region's text is longer than {MOST_OF_TEXT} characters and is not shown."
)

_TEXT_FAULTS: Final = "resultText: "
_NOT_REACHED: Final = "ProcessingStatus: a unit could not be asked"
_NOT_UPDATED: Final = "ProcessingStatus: is from a cache that could not be updated"
_FROM_CACHE: Final = "ProcessingStatus: is from a cache"
_OF_UNKNOWN_AGE: Final = "ProcessingStatus: is from a cache of an unknown age"
_OF_MANY_UNITS: Final = frozenset({scheduling.GET_SUBJECT_OF_CARE_SCHEDULE})

Req = TypeVar("Req")
Res = TypeVar("Res")


class Scheduling11:
    """
    A producer of crm:scheduling 1.1, asked over SOAP.

    Args:
        name: The name of the source.
        options: Its particulars.
        transport: Posts the documents; None for a new one with the options' files.
    """

    def __init__(
        self,
        name: SourceName,
        options: Options,
        *,
        transport: Transport | None = None,
    ) -> None:
        self._name = name
        self._options = options
        self._client = SoapClient(
            source=name,
            endpoint=options.endpoint,
            consumer=options.consumer,
            transport=transport
            or Transport(
                Credentials(certificate=options.certificate, trust=options.trust)
            ),
        )

    @property
    def name(self) -> SourceName:
        """Return the configured name of the source."""
        return self._name

    @property
    def supports(self) -> frozenset[Interaction]:
        """Return the interactions that the configuration lists."""
        return self._options.supports

    def watch(self, differs: Callable[[Interaction, str], None]) -> None:
        """Report elements that the schemas do not have, and required ones that miss."""
        self._client.watch(differs)

    def close(self) -> None:
        """Do nothing: each connection is closed after its call."""

    def get_all_time_types(
        self, query: GetAllTimeTypes, *, timeout: float
    ) -> Listed[TimeType]:
        """Return the time types of a unit."""
        answer = self._call(
            get_all_time_types.CONTRACT,
            get_all_time_types.Request(
                healthcare_facility=query.unit,
                subject_of_care=query.subject_of_care.reveal(),
            ),
            unit=query.unit,
            actor=query.actor,
            timeout=timeout,
        )
        response: get_all_time_types.Response = answer.response
        return read_list(
            answer,
            "ListOfTimeTypes",
            response.list_of_time_types,
            time_type_from_wire,
            # Clients could not distinguish two services with one code.
            identity=("timeTypeId", lambda each: each.id.code),
        )

    def get_all_care_types(
        self, query: GetAllCareTypes, *, timeout: float
    ) -> Listed[CareType]:
        """Return a unit's own care types."""
        answer = self._call(
            get_all_care_types.CONTRACT,
            get_all_care_types.Request(
                healthcare_facility=query.unit,
                subject_of_care=query.subject_of_care.reveal(),
            ),
            unit=query.unit,
            actor=query.actor,
            timeout=timeout,
        )
        response: get_all_care_types.Response = answer.response
        return read_list(
            answer,
            "careTypes",
            response.care_types,
            care_type_from_wire,
            identity=("careTypeId", lambda each: each[0]),
        )

    def get_all_performers(
        self, query: GetAllPerformers, *, timeout: float
    ) -> Listed[Performer]:
        """Return the staff of a unit; rooms and teams are not in the list."""
        answer = self._call(
            get_all_performers.CONTRACT,
            get_all_performers.Request(
                healthcare_facility=query.unit,
                time_type_ids=query.time_type_ids,
                subject_of_care=query.subject_of_care.reveal(),
            ),
            unit=query.unit,
            actor=query.actor,
            timeout=timeout,
        )
        response: get_all_performers.Response = answer.response
        return read_list(
            answer,
            "performerInfos",
            response.performer_infos,
            performer_info_from_wire,
            identity=("perfomer", lambda each: each.hsa_id),
        )

    def get_all_healthcare_facilities(
        self, query: GetAllHealthcareFacilities, *, timeout: float
    ) -> Listed[CareUnit]:
        """Return the units at which a resident can book, or move a booking to."""
        answer = self._call(
            get_all_healthcare_facilities.CONTRACT,
            get_all_healthcare_facilities.Request(
                healthcare_facility=query.unit,
                subject_of_care=query.subject_of_care.reveal(),
                booking_id=query.booking_id,
            ),
            unit=query.unit,
            actor=query.actor,
            timeout=timeout,
        )
        response: get_all_healthcare_facilities.Response = answer.response
        return read_list(
            answer,
            "healthcareFacilityInfos",
            response.healthcare_facility_infos,
            lambda wire: care_unit_from_wire(wire, self._name),
            identity=("healthcare_facility", lambda each: each.hsa_id),
        )

    def get_available_dates(
        self, query: GetAvailableDates, *, timeout: float
    ) -> Listed[AvailableDate]:
        """Return the days with a free time."""
        answer = self._call(
            get_available_dates.CONTRACT,
            get_available_dates.Request(
                healthcare_facility=query.unit,
                booking_id=query.booking_id,
                start_date_inclusive=civil_date_text(query.first_day),
                end_date_inclusive=civil_date_text(query.last_day),
                performer=query.performers,
                time_type_id=query.time_type_id,
                subject_of_care=query.subject_of_care.reveal(),
            ),
            unit=query.unit,
            actor=query.actor,
            timeout=timeout,
        )
        response: get_available_dates.Response = answer.response
        return read_list(
            answer,
            "performerAvailabilityByDate",
            response.performer_availability_by_date,
            lambda wire: available_date_from_wire(wire, query.unit, query.time_type_id),
        )

    def get_available_timeslots(
        self, query: GetAvailableTimeslots, *, timeout: float
    ) -> FreeTimes:
        """Return the free times by start; equal ones are one with a count."""
        answer = self._call(
            get_available_timeslots.CONTRACT,
            get_available_timeslots.Request(
                healthcare_facility=query.unit,
                booking_id=query.booking_id,
                start_date_inclusive=civil_date_text(query.first_day),
                end_date_inclusive=civil_date_text(query.last_day),
                performer=query.performers,
                time_type_id=query.time_type_id,
                subject_of_care=query.subject_of_care.reveal(),
            ),
            unit=query.unit,
            actor=query.actor,
            timeout=timeout,
        )
        times = free_times_from_answer(answer, query.unit, query.time_type_id)
        return replace(
            times,
            as_of=min(
                (part.since for part in cached_parts(answer) if part.since),
                default=None,
            ),
        )

    def get_booking_details(
        self, query: GetBookingDetails, *, timeout: float
    ) -> Booking:
        """Return one booking or invitation."""
        answer = self._call(
            get_booking_details.CONTRACT,
            get_booking_details.Request(
                healthcare_facility=query.unit, booking_id=query.booking_id
            ),
            unit=query.unit,
            actor=query.actor,
            timeout=timeout,
        )
        response: get_booking_details.Response = answer.response
        if response.timeslot_detail is None:
            raise self._missing_booking_error(answer)
        if unreached_units(answer) or cached_parts(answer):
            raise SourceFault(
                "The source's description of the booking is old (ProcessingStatus), so"
                " it confirms nothing.",
                source=self._name,
                interaction=scheduling.GET_BOOKING_DETAILS.name,
            )
        with self._raise_malformed(scheduling.GET_BOOKING_DETAILS):
            left_out = answer.faults
            booking = booking_from_wire(response.timeslot_detail, left_out)
            check_booking_id(booking, query.booking_id)
            return replace(booking, left_out=tuple(left_out))

    def _missing_booking_error(self, answer: ContractAnswer) -> GatewayError:
        """Return the error for details without a booking."""
        if answer.rejected or cached_parts(answer):
            return MalformedAnswer(
                "The source's answer has no booking, but is old or cannot be read"
                " whole, so the booking may exist.",
                element="timeslotDetail",
                source=self._name,
                interaction=scheduling.GET_BOOKING_DETAILS.name,
            )
        return NotFound(
            "The source has no such booking.",
            source=self._name,
            interaction=scheduling.GET_BOOKING_DETAILS.name,
        )

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return a resident's bookings, and the units that did not answer."""
        answer = self._call(
            get_subject_of_care_schedule.CONTRACT,
            get_subject_of_care_schedule.Request(
                healthcare_facility=query.address,
                subject_of_care=query.subject_of_care.reveal(),
            ),
            unit=query.address,
            actor=query.actor,
            timeout=timeout,
            address=query.address,
        )
        response: get_subject_of_care_schedule.Response = answer.response
        unreadable = answer.faults
        bookings = []
        lost: list[str | None] = []
        for wire in response.timeslot_detail:
            try:
                bookings.append(booking_from_wire(wire, unreadable))
            except MalformedElement as error:
                unreadable.append(str(error))
                lost.append(wire.start_time_inclusive)
        return BookedTimes(
            bookings=tuple(bookings),
            unreadable=tuple(unreadable),
            lost_at=lost_starts(answer, lost),
            kept=cached_parts(answer),
            unanswered=unreached_units(answer),
            answered=answered_units(answer),
            silences=silences(answer),
        )

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book a free time."""
        timeslot = request.timeslot
        booking_id = request.invitation
        if (
            booking_id is None
            and self._options.booking_id_in_make_booking
            is BookingIdInMakeBooking.SLOT_ID
        ):
            booking_id = timeslot.source_id
        return self._write(
            make_booking.CONTRACT,
            make_booking.Request(
                healthcare_facility_med=timeslot.schedule.unit,
                requested_timeslot=requested_timeslot(
                    timeslot, request.subject_of_care, request.reason, booking_id
                ),
                subject_of_care_info=subject_of_care_info(request.subject_of_care),
            ),
            unit=timeslot.schedule.unit,
            actor=request.actor or Actor.resident(request.subject_of_care.number),
            timeout=timeout,
        )

    def update_booking(self, request: UpdateBooking, *, timeout: float) -> WriteResult:
        """Move a booking."""
        return self._write(
            update_booking.CONTRACT,
            update_booking.Request(
                requested_timeslot=requested_timeslot(
                    request.timeslot,
                    request.subject_of_care,
                    request.reason,
                    request.booking_id,
                ),
                # Optional in the schema, but Schedulr fails without it.
                subject_of_care_info=subject_of_care_info(request.subject_of_care),
            ),
            unit=request.timeslot.schedule.unit,
            actor=request.actor or Actor.resident(request.subject_of_care.number),
            timeout=timeout,
        )

    def cancel_booking(self, request: CancelBooking, *, timeout: float) -> WriteResult:
        """Cancel a booking."""
        return self._write(
            cancel_booking.CONTRACT,
            cancel_booking.Request(
                healthcare_facility=request.unit,
                booking_id=request.booking_id,
                message=request.message,
            ),
            unit=request.unit,
            actor=request.actor,
            timeout=timeout,
        )

    def _call(
        self,
        contract: Contract[Req, Res],
        request: Req,
        *,
        unit: str,
        actor: Actor,
        timeout: float,
        address: LogicalAddress | None = None,
    ) -> ContractAnswer:
        if contract.interaction not in self.supports:
            raise Unsupported(
                "The source does not support this.",
                source=self._name,
                interaction=contract.interaction.name,
            )
        address = address or self._options.logical_address or LogicalAddress(unit)
        answer = self._client.call(
            contract,
            request,
            logical_address=address,
            actor=actor,
            timeout=timeout,
        )
        # A resident's list covers many units, and has its own field for those that did
        # not answer.
        if contract.interaction.writes or contract.interaction in _OF_MANY_UNITS:
            return answer
        return self._count_silence(contract.interaction, answer, asked=(unit, address))

    def _count_silence(
        self, interaction: Interaction, answer: ContractAnswer, asked: tuple[str, ...]
    ) -> ContractAnswer:
        """
        Return an answer that counts the units that did not answer as rejected parts.

        Such are the units that an aggregating service could not ask, the requested unit
        if it does not name it, and those of which its cache has the data. A cached list
        may lack what is new. Only free times from a cache with an age are whole: they
        have that age (`FreeTimes.as_of`).

        Raises:
            SourceFault: The answer has nothing else.
        """
        silent = Counter(map(partial(_doubt_about, interaction), cached_parts(answer)))
        silent[_NOT_REACHED] = len(unreached_units(answer)) or int(
            not names_any(answer, asked)
        )
        lacking = {
            reason: count for reason, count in silent.items() if reason and count
        }
        if not lacking:
            return answer
        if not any(vars(answer.response).values()):
            raise SourceFault(
                "An aggregating service could not ask the unit, or has an empty list of"
                " it in its cache (ProcessingStatus).",
                source=self._name,
                interaction=interaction.name,
            )
        return replace(answer, rejected={**answer.rejected, **lacking})

    def _write(
        self,
        contract: Contract[Req, Any],
        request: Req,
        *,
        unit: HsaId,
        actor: Actor,
        timeout: float,
    ) -> WriteResult:
        try:
            answer = self._call(
                contract, request, unit=unit, actor=actor, timeout=timeout
            )
        except FaultedWrite as error:
            if any(
                pattern.search(error.fault.text)
                for pattern in self._options.refusal_faults
            ):
                raise Refused(
                    Refused.UNEXPLAINED,
                    source=self._name,
                    interaction=contract.interaction.name,
                ) from error
            raise
        response = answer.response
        try:
            code = ResultCode(response.result_code.upper())
        except ValueError as error:
            raise WriteUnconfirmed(
                "The source answered a write with an unknown resultCode.",
                source=self._name,
                interaction=contract.interaction.name,
            ) from error
        booking_id = getattr(response, "booking_id", None)
        return WriteResult(
            code=code,
            text=_text_to_show(
                response.result_text,
                is_whole=not any(
                    reason.startswith(_TEXT_FAULTS) for reason in answer.rejected
                ),
            ),
            booking_id=BookingId(booking_id) if booking_id else None,
        )

    @contextmanager
    def _raise_malformed(self, interaction: Interaction) -> Iterator[None]:
        """Turn a malformed element into the error for an unreadable answer."""
        try:
            yield
        except MalformedElement as error:
            raise MalformedAnswer(
                f"The source's answer cannot be read: {error}.",
                element=error.element,
                source=self._name,
                interaction=interaction.name,
            ) from error


def _doubt_about(interaction: Interaction, part: KeptPart) -> str | None:
    """Return why a cached part of an answer counts as rejected; None if it does not."""
    if part.is_failed:
        return _NOT_UPDATED
    if interaction == scheduling.GET_AVAILABLE_TIMESLOTS:
        return _OF_UNKNOWN_AGE if part.since is None else None
    # Old details of a booking are a fault of their own.
    return None if interaction == scheduling.GET_BOOKING_DETAILS else _FROM_CACHE


def _text_to_show(text: str | None, *, is_whole: bool) -> str | None:
    """Return a region's text, with a note if a part of it is left out."""
    if is_whole:
        return text
    return f"{text}\n{_TEXT_LEFT_OUT}" if text else _TEXT_LEFT_OUT
