"""
Between the contract's types and the program's own model.

A value that is impossible raises `MalformedElement`, naming the element and never the
value.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final, TypeVar

from fhir_gateway.adapters.protocol import CareType
from fhir_gateway.model.booking import Booking, BookingPermissions, KeptPart, Wish
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    HsaId,
    LogicalAddress,
    PerformerId,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.person import (
    PersonalIdentityNumber,
    SubjectOfCare,
    is_possible_number,
)
from fhir_gateway.model.timekeeping import (
    civil_time_text,
    date_from_contract,
    end_from_contract,
    start_from_contract,
)
from fhir_gateway.model.timeslot import (
    AvailableDate,
    FreeTimes,
    Schedule,
    Timeslot,
    TimeType,
)
from fhir_gateway.rivta.element import UNREADABLE
from fhir_gateway.rivta.envelope import Answer
from fhir_gateway.rivta.processing_status import StatusCode
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.get_available_timeslots import Response
from fhir_gateway.rivta.scheduling_1_1.types import (
    CareTypeType,
    HealthcareFacilityInfoType,
    PerformerAvailabilityByDateType,
    PerformerInfoType,
    SubjectOfCareType,
    TimeslotType,
    TimeTypeType,
)

__all__ = [
    "available_date_from_wire",
    "booking_from_wire",
    "care_type_from_wire",
    "care_unit_from_wire",
    "check_booking_id",
    "free_times_from_answer",
    "kept_parts",
    "listed",
    "lost_at",
    "performer_info_from_wire",
    "requested_timeslot",
    "schedule_from_wire",
    "subject_of_care_info",
    "time_type_from_wire",
    "timeslot_from_wire",
    "unanswered",
    "unit_from_wire",
]

Wire = TypeVar("Wire")
Item = TypeVar("Item")

# A timeslot's token has room for twelve days.
_LONGEST_TIMESLOT: Final = timedelta(seconds=32**4 - 1)
# A block counts seconds in 32 bits.
_LATEST: Final = datetime(2106, 1, 1, tzinfo=UTC)
# Twelve characters, in the engagement index's wide form of the contract's.
_TEMPORARY: Final = re.compile(r"[0-9]{8}[0-9A-Za-z]{4}")
_HYPHEN: Final = re.compile(r"(?<=[0-9]{8})[-+ ](?=[0-9A-Za-z]{4}$)")
# What `schedule_from_wire` reads.
_WHOSE: Final = attrgetter(
    *("time_type_id", "time_type_name", "performer", "performer_name"),
    *("resource_id", "resource_name", "care_type_id", "care_type_name"),
)


def unit_from_wire(text: str) -> HsaId:
    """Return a unit's HSA-id."""
    try:
        return HsaId(text)
    except ValueError as error:
        raise MalformedElement("healthcare_facility", str(error)) from None


def listed(
    answer: Answer,
    element: str,
    wires: Iterable[Wire],
    item_from_wire: Callable[[Wire], Item | None],
    *,
    identity: tuple[str, Callable[[Item], object]] | None = None,
) -> Listed[Item]:
    """
    Return the list in an answer.

    Args:
        answer: The answer.
        element: What each item of the list is called.
        wires: The items that the schema's types could hold.
        item_from_wire: Returns an item, or None for one that is not meant for us. One
            for which it raises `MalformedElement` is left out, and named by its place.
        identity: The element that tells items apart, and what an item has of it. Of
            several items with one identity the first stands; those that differ from it
            are left out.
    """
    rejected = answer.faults
    items = []
    first: dict[object, Item] = {}
    for place, wire in enumerate(wires, start=1):
        try:
            item = item_from_wire(wire)
        except MalformedElement as error:
            rejected.append(str(error.inside(f"{element}[{place}]")))
            continue
        if item is None:
            continue
        if identity is not None:
            name, of = identity
            known = first.setdefault(of(item), item)
            if known is not item:
                if known != item:
                    rejected.append(
                        f"{element}/{name}: occurs again, with another name"
                    )
                continue
        items.append(item)
    return Listed(tuple(items), tuple(rejected))


def time_type_from_wire(wire: TimeTypeType) -> TimeType:
    """Return a time type; the id serves as the name where there is none."""
    return TimeType(
        id=TimeTypeId(wire.time_type_id), name=wire.time_type_name or wire.time_type_id
    )


def care_type_from_wire(wire: CareTypeType) -> CareType:
    """Return a care type; the id serves as the name where there is none."""
    return wire.care_type_id, wire.care_type_name or wire.care_type_id


def performer_info_from_wire(wire: PerformerInfoType) -> Performer | None:
    """Return a member of staff; None for a room or a team."""
    hsa_id = PerformerId(wire.performer).hsa_id
    if hsa_id is None:
        if "-" in wire.performer:
            raise MalformedElement("perfomer", "not an HSA-id")
        return None
    return Performer(
        hsa_id=hsa_id,
        first_name=wire.first_name,
        last_name=wire.last_name,
        title=wire.title,
    )


def care_unit_from_wire(
    wire: HealthcareFacilityInfoType, source: SourceName
) -> CareUnit:
    """Return a unit; the id serves as the name where there is none."""
    return CareUnit(
        hsa_id=unit_from_wire(wire.healthcare_facility),
        name=wire.healthcare_facility_name or wire.healthcare_facility,
        source=source,
    )


def available_date_from_wire(
    wire: PerformerAvailabilityByDateType, unit: HsaId, asked: TimeTypeId | None
) -> AvailableDate:
    """Return a day with a free time at the unit that was asked."""
    if unit_from_wire(wire.healthcare_facility) != unit:
        raise _another_unit()
    return AvailableDate(
        schedule=schedule_from_wire(wire, unit, asked),
        day=date_from_contract(wire.date),
    )


def schedule_from_wire(
    wire: TimeslotType | PerformerAvailabilityByDateType,
    unit: HsaId,
    asked: TimeTypeId | None,
) -> Schedule:
    """Return whose time it is; the time type that was asked for fills a missing one."""
    time_type_id = wire.time_type_id or asked
    if (
        asked is not None
        and time_type_id is not None
        and (time_type_id.strip() == asked.strip())
    ):
        # It is listed with other blanks than among the time types.
        time_type_id = asked
    if time_type_id is None:
        raise MalformedElement("timeTypeID", "is missing")
    return Schedule(
        unit=unit,
        time_type_id=TimeTypeId(time_type_id),
        time_type_name=wire.time_type_name or time_type_id,
        performer=PerformerId(wire.performer) if wire.performer else None,
        performer_name=(
            wire.performer_name if isinstance(wire, TimeslotType) else None
        ),
        resource_id=ResourceId(wire.resource_id) if wire.resource_id else None,
        resource_name=wire.resource_name,
        care_type_id=CareTypeId(wire.care_type_id) if wire.care_type_id else None,
        care_type_name=wire.care_type_name,
    )


def timeslot_from_wire(
    wire: TimeslotType, unit: HsaId, asked: TimeTypeId | None
) -> Timeslot:
    """Return a free time of the unit that was asked."""
    return _Schedules(unit, asked).timeslot(wire)[0]


def free_times_from_answer(
    answer: Answer, unit: HsaId, asked: TimeTypeId | None
) -> FreeTimes:
    """Return the free times of an answer, equal ones counted, sorted by start."""
    response: Response = answer.response
    rejected = answer.faults
    schedules = _Schedules(unit, asked)
    listed: dict[tuple[datetime, str, datetime], list[Timeslot]] = {}
    for wire in response.timeslot_detail:
        try:
            timeslot, token = schedules.timeslot(wire)
        except MalformedElement as error:
            rejected.append(str(error))
            continue
        key = timeslot.start, token, timeslot.end
        listed.setdefault(key, []).append(timeslot)
    return FreeTimes(
        timeslots=tuple(
            equal[0] if len(equal) == 1 else replace(equal[0], count=len(equal))
            for equal in (listed[key] for key in sorted(listed))
        ),
        rejected=tuple(rejected),
    )


class _Schedules:
    """
    The schedules and periods of one answer: thousands of times are of a few.

    Args:
        unit: The unit that was asked.
        asked: The time type that was asked for.
    """

    def __init__(self, unit: HsaId, asked: TimeTypeId | None) -> None:
        self._unit = unit
        self._asked = asked
        self._known: dict[tuple[str | None, ...], tuple[Schedule, str]] = {}
        self._periods: dict[tuple[str | None, ...], tuple[datetime, datetime]] = {}

    def timeslot(self, wire: TimeslotType) -> tuple[Timeslot, str]:
        """Return a free time of the unit that was asked, and its schedule's token."""
        facility = wire.healthcare_facility
        if facility != self._unit and unit_from_wire(facility) != self._unit:
            raise _another_unit()
        key = wire.start_time_inclusive, wire.end_time_exclusive
        period = self._periods.get(key)
        if period is None:
            period = self._periods[key] = _short_period(wire)
        start, end = period
        schedule, token = self._schedule(wire)
        timeslot = Timeslot(
            schedule=schedule,
            start=start,
            end=end,
            source_id=BookingId(wire.booking_id) if wire.booking_id else None,
        )
        return timeslot, token

    def _schedule(self, wire: TimeslotType) -> tuple[Schedule, str]:
        key = _WHOSE(wire)
        known = self._known.get(key)
        if known is None:
            schedule = schedule_from_wire(wire, self._unit, self._asked)
            known = self._known[key] = (schedule, schedule.token)
        return known


def booking_from_wire(wire: TimeslotType, left_out: list[str]) -> Booking:
    """
    Return a booking, or an open invitation when it has neither start nor end.

    Args:
        wire: What the source says.
        left_out: Receives what is wrong with an end that cannot be.
    """
    start, end = _booked_period(wire, left_out)
    number = _number_from_wire(wire.subject_of_care)
    return Booking(
        unit=unit_from_wire(wire.healthcare_facility),
        booking_id=BookingId(wire.booking_id) if wire.booking_id else None,
        start=start,
        end=end,
        subject_of_care=number,
        time_type_id=TimeTypeId(wire.time_type_id) if wire.time_type_id else None,
        time_type_name=wire.time_type_name,
        performer=PerformerId(wire.performer) if wire.performer else None,
        performer_name=wire.performer_name,
        resource_id=ResourceId(wire.resource_id) if wire.resource_id else None,
        resource_name=wire.resource_name,
        care_type_id=CareTypeId(wire.care_type_id) if wire.care_type_id else None,
        care_type_name=wire.care_type_name,
        purpose=wire.purpose,
        reason=wire.reason,
        permissions=BookingPermissions(
            cancel=bool(wire.cancel_booking_allowed),
            rebook=bool(wire.rebooking_allowed),
            message=bool(wire.message_allowed),
            unreadable=frozenset(
                wish
                for wish, flag in (
                    (Wish.CANCEL, wire.cancel_booking_allowed),
                    (Wish.REBOOK, wire.rebooking_allowed),
                    (Wish.MESSAGE, wire.message_allowed),
                )
                if flag is UNREADABLE
            ),
        ),
        is_invitation=bool(wire.is_invitation),
    )


def check_booking_id(booking: Booking, asked: BookingId) -> None:
    """
    Check that a description is of the booking that was asked about, as far as it says.

    Raises:
        MalformedElement: It is another's answer.
    """
    told = booking.booking_id
    if told is not None and told.casefold() != asked.casefold():
        raise MalformedElement("bookingId", "is another booking than was asked about")


def requested_timeslot(
    timeslot: Timeslot,
    subject: SubjectOfCare,
    reason: str | None,
    booking_id: BookingId | None,
) -> TimeslotType:
    """Return the whole free time as the source listed it: it has no id of its own."""
    schedule = timeslot.schedule
    return TimeslotType(
        start_time_inclusive=civil_time_text(timeslot.start),
        end_time_exclusive=civil_time_text(timeslot.end),
        healthcare_facility=schedule.unit,
        performer=schedule.performer,
        booking_id=booking_id,
        subject_of_care=subject.number.reveal(),
        reason=reason,
        resource_name=schedule.resource_name,
        performer_name=schedule.performer_name,
        resource_id=schedule.resource_id,
        time_type_name=schedule.time_type_name,
        time_type_id=schedule.time_type_id,
        care_type_name=schedule.care_type_name,
        care_type_id=schedule.care_type_id,
    )


def subject_of_care_info(subject: SubjectOfCare) -> SubjectOfCareType:
    """Return what a region is told of the resident."""
    return SubjectOfCareType(
        phone=subject.phone,
        email=subject.email,
        address=subject.address,
        first_name=subject.first_name,
        middle_name=subject.middle_name,
        last_name=subject.last_name,
    )


def lost_at(
    answer: Answer, start_texts: Iterable[str | None]
) -> frozenset[datetime | None]:
    """
    Return when the bookings begin that are left out of an answer.

    Args:
        answer: The answer, with what could not be read of it.
        start_texts: When those begin that were left out since, as the contract has it.
    """
    starts: set[datetime | None] = set()
    for text in (*answer.lost, *start_texts):
        try:
            starts.add(None if text is None else start_from_contract(text))
        except ValueError:
            starts.add(None)
    return frozenset(starts)


def kept_parts(answer: Answer) -> tuple[KeptPart, ...]:
    """Return the parts of an aggregated answer that are not of this moment."""
    return tuple(
        KeptPart(
            unit=LogicalAddress(record.logical_address),
            since=_synch_from_wire(record.last_successful_synch),
            is_failed=(
                record.status_code == StatusCode.DATA_FROM_CACHE_SYNCH_FAILED.value
            ),
        )
        for record in answer.processing_status or ()
        if record.is_from_cache
    )


def unanswered(answer: Answer) -> tuple[LogicalAddress, ...]:
    """Return the units that an aggregating service could not ask."""
    return tuple(
        LogicalAddress(record.logical_address)
        for record in answer.processing_status or ()
        if not record.is_from_source and not record.is_from_cache
    )


def _synch_from_wire(text: str | None) -> datetime | None:
    try:
        return None if text is None else start_from_contract(text)
    except ValueError:
        return None


def _number_from_wire(text: str | None) -> PersonalIdentityNumber | None:
    """
    Return a personal number; None for none, and for a temporary one.

    What has the form of a personal number must be one.
    """
    if text is None:
        return None
    digits = _HYPHEN.sub("", text)
    # National temporary numbers have letters, local ones impossible dates.
    if _TEMPORARY.fullmatch(digits) and not is_possible_number(digits):
        return None
    try:
        return PersonalIdentityNumber(digits)
    except ValueError as error:
        raise MalformedElement("subject_of_care", str(error)) from None


def _booked_period(
    wire: TimeslotType, left_out: list[str]
) -> tuple[datetime | None, datetime | None]:
    if wire.start_time_inclusive is None and wire.end_time_exclusive is None:
        return None, None
    if wire.start_time_inclusive is None:
        raise MalformedElement("startTimeInclusive", "is missing")
    try:
        start = start_from_contract(wire.start_time_inclusive)
    except ValueError as error:
        raise MalformedElement("startTimeInclusive", str(error)) from None
    if wire.end_time_exclusive is None:
        return start, None
    if wire.end_time_exclusive == wire.start_time_inclusive:
        return start, start
    try:
        return start, end_from_contract(wire.end_time_exclusive, start)
    except ValueError as error:
        left_out.append(f"endTimeExclusive: {error}")
        return start, None


def _another_unit() -> MalformedElement:
    return MalformedElement(
        "healthcare_facility", "is another unit than the one that was asked"
    )


def _short_period(wire: TimeslotType) -> tuple[datetime, datetime]:
    start, end = _period(wire)
    if end - start > _LONGEST_TIMESLOT:
        raise MalformedElement("endTimeExclusive", "is more than twelve days away")
    if end > _LATEST:
        raise MalformedElement("endTimeExclusive", "lies after the year 2105")
    return start, end


def _period(wire: TimeslotType) -> tuple[datetime, datetime]:
    if wire.start_time_inclusive is None:
        raise MalformedElement("startTimeInclusive", "is missing")
    if wire.end_time_exclusive is None:
        raise MalformedElement("endTimeExclusive", "is missing")
    try:
        start = start_from_contract(wire.start_time_inclusive)
    except ValueError as error:
        raise MalformedElement("startTimeInclusive", str(error)) from None
    try:
        end = end_from_contract(wire.end_time_exclusive, start)
    except ValueError as error:
        raise MalformedElement("endTimeExclusive", str(error)) from None
    return start, end
