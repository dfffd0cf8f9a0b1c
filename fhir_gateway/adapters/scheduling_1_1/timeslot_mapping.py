"""
Maps free times and their schedules between the contract's types and the model.

An impossible value raises `MalformedElement` with the name of the element, never with
the value.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final

from fhir_gateway.adapters.scheduling_1_1.directory_mapping import unit_from_wire
from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.person import (
    SubjectOfCare,
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
)
from fhir_gateway.rivta.envelope import ContractAnswer
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.get_available_timeslots import Response
from fhir_gateway.rivta.scheduling_1_1.types import (
    PerformerAvailabilityByDateType,
    TimeslotType,
)

__all__ = [
    "available_date_from_wire",
    "free_times_from_answer",
    "requested_timeslot",
    "schedule_from_wire",
    "timeslot_from_wire",
]

# The token of a timeslot has room for a length of twelve days.
_LONGEST_TIMESLOT: Final = timedelta(seconds=32**4 - 1)
# A block stores seconds in 32 bits.
_LATEST: Final = datetime(2106, 1, 1, tzinfo=UTC)
# The fields that `schedule_from_wire` reads.
_WHOSE: Final = attrgetter(
    *("time_type_id", "time_type_name", "performer", "performer_name"),
    *("resource_id", "resource_name", "care_type_id", "care_type_name"),
)


def available_date_from_wire(
    wire: PerformerAvailabilityByDateType, unit: HsaId, asked: TimeTypeId | None
) -> AvailableDate:
    """Return a day with a free time at the requested unit."""
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
    """Return the schedule of a time; the requested time type replaces a missing one."""
    time_type_id = wire.time_type_id or asked
    if (
        asked is not None
        and time_type_id is not None
        and (time_type_id.strip() == asked.strip())
    ):
        # The list of time types has this id with other blanks.
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
    """Return a free time of the requested unit."""
    return _Schedules(unit, asked).timeslot(wire)[0]


def free_times_from_answer(
    answer: ContractAnswer, unit: HsaId, asked: TimeTypeId | None
) -> FreeTimes:
    """Return the free times of an answer by start; equal ones are one with a count."""
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
    The schedules and periods of one answer: thousands of times share a few of them.

    Args:
        unit: The requested unit.
        asked: The requested time type.
    """

    def __init__(self, unit: HsaId, asked: TimeTypeId | None) -> None:
        self._unit = unit
        self._asked = asked
        self._known: dict[tuple[str | None, ...], tuple[Schedule, str]] = {}
        self._periods: dict[tuple[str | None, ...], tuple[datetime, datetime]] = {}

    def timeslot(self, wire: TimeslotType) -> tuple[Timeslot, str]:
        """Return a free time of the requested unit, and the token of its schedule."""
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


def requested_timeslot(
    timeslot: Timeslot,
    subject: SubjectOfCare,
    reason: str | None,
    booking_id: BookingId | None,
) -> TimeslotType:
    """Return all of a free time as the source listed it: a free time has no id."""
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
    if wire.end_time_exclusive == wire.start_time_inclusive:
        # In October's repeated hour it would be an hour later, and is no such time.
        raise MalformedElement(
            "endTimeExclusive", "not an end: it is not after the start"
        )
    try:
        end = end_from_contract(wire.end_time_exclusive, start)
    except ValueError as error:
        raise MalformedElement("endTimeExclusive", str(error)) from None
    return start, end
