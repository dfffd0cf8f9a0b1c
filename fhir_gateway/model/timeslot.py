"""
Bookable time: time types, schedules and timeslots.

The types follow scheduling 2.0, where a time type can be hidden and carry SNOMED CT
services and a timeslot can have an id; scheduling 1.1 fills what it can.

Each of them has a *token*: a short text derived from its identity at its source, the
same from run to run, and within FHIR's rule for ids (1 to 64 of letters, digits, `-`
and `.`). A token begins with the unit's HSA-id, so that it shows the unit without a
lookup:

    time type   SE2321000016-A01.k7w2mfx3
    schedule    SE2321000016-A01.k7w2mfx3.p0c9q1ab
    timeslot    SE2321000016-A01.k7w2mfx3.p0c9q1ab.t2kq5c.15
"""

import hashlib
import re
import sys
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import AnyStr, Final, Self

from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.timekeeping import epoch_seconds, instant_from_epoch

__all__ = [
    "NO_TIME_TYPE",
    "AvailableDate",
    "FreeTimes",
    "Schedule",
    "StandardTimeType",
    "TimeType",
    "Timeslot",
    "TimeslotToken",
    "schedule_suffix",
    "short_hash",
    "time_type_of_schedule",
    "time_type_token",
    "unit_of_time_type",
]

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"
# Two digits at a time are faster than the standard library's digit by digit.
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
_HASH_BYTES: Final = 5
_HASH = r"[0-9a-v]{8}"
_NUMBER = r"(?:0|[1-9a-v][0-9a-v]{0,7})"
_TOKEN: Final = re.compile(
    rf"(?P<unit>[A-Z0-9][A-Z0-9.\-]{{0,30}}?)\.(?P<time_type>{_HASH})"
    rf"\.(?P<who>{_HASH})\.(?P<start>{_NUMBER})\.(?P<length>{_NUMBER})"
)
_BASE: Final = 32
# The length of what a schedule's token adds to its time type's token, and that one to
# its unit.
_SUFFIX: Final = len(".aakdr1dm")
# All times from `model/timekeeping.py` stay within both limits. These keep a token
# within 64 characters, 31 + 9 + 9 + 9 + 6, and its instants within the calendar.
_LAST_END: Final = 253_402_297_199  # 9999-12-31T23:59:59+01:00
_LONGEST: Final = _BASE**5 - 1


# The time type of a booking where the source does not state the kind of visit.
NO_TIME_TYPE: Final = TimeTypeId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardTimeType:
    """A shared meaning of a time type (`standardiserad tidstyp`): a SNOMED CT code."""

    code: str
    display: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeType:
    """
    A unit's own time type (`tidstyp`), with the standard ones it has been mapped to.
    """

    id: TimeTypeId
    name: str
    standard: tuple[StandardTimeType, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """
    The owner of times: a unit, one of its time types, and a performer or resource.

    `performer`, `resource_id` and `care_type_id` identify it at the source beside the
    unit and the time type, each by its exact text; the names are only shown.
    """

    unit: HsaId
    time_type_id: TimeTypeId
    time_type_name: str
    performer: PerformerId | None = None
    performer_name: str | None = None
    resource_id: ResourceId | None = None
    resource_name: str | None = None
    care_type_id: CareTypeId | None = None
    care_type_name: str | None = None

    @property
    def practitioner(self) -> HsaId | None:
        """Return the HSA-id of the member of staff that the times belong to, if any."""
        return None if self.performer is None else self.performer.hsa_id

    @property
    def token(self) -> str:
        """Return the schedule's token."""
        return _schedule_token(
            self.unit,
            self.time_type_id,
            self.performer,
            self.resource_id,
            self.care_type_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeslot:
    """
    A free or booked time, half open: it begins at `start` and has ended at `end`.

    A free one ends after its start; a booking without a stated end ends at its start.

    Attributes:
        count: How many times the source lists it without a difference.
        source_id: The `bookingId` that some sources give a free time.
    """

    schedule: Schedule
    start: datetime
    end: datetime
    count: int = 1
    source_id: BookingId | None = None

    @property
    def token(self) -> str:
        """Return the timeslot's token."""
        return TimeslotToken(
            schedule=self.schedule.token,
            start=epoch_seconds(self.start),
            length=epoch_seconds(self.end) - epoch_seconds(self.start),
        ).text


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTimes:
    """
    A source's answer about free times.

    Attributes:
        rejected: One sentence for each listed time that was left out: what is wrong
            with it.
        as_of: When the times were free, where they come from the cache of an
            aggregating service; None for now.
    """

    timeslots: tuple[Timeslot, ...]
    rejected: tuple[str, ...] = ()
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableDate:
    """A day on which a schedule has at least one free time."""

    schedule: Schedule
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeslotToken:
    """
    A timeslot's token in its parts.

    Attributes:
        schedule: The token of its schedule.
        start: Seconds since 1970.
        length: Seconds.

    Raises:
        ValueError: It starts before 1970, ends before it starts or after 9999, or lasts
            longer than 388 days.
    """

    schedule: str
    start: int
    length: int

    def __post_init__(self) -> None:
        ends_in_time = self.start + self.length <= _LAST_END
        if self.start < 0 or not 0 <= self.length <= _LONGEST or not ends_in_time:
            raise ValueError("not a timeslot's token: its time is out of range")

    @property
    def text(self) -> str:
        """Return the token as one text."""
        return self.schedule + self.suffix

    @property
    def suffix(self) -> str:
        """Return the part after the schedule's token."""
        return f".{_base32(self.start)}.{_base32(self.length)}"

    @property
    def unit(self) -> HsaId:
        """Return the unit it belongs to."""
        return HsaId(unit_of_time_type(self.time_type))

    @property
    def time_type(self) -> str:
        """Return the token of its time type."""
        return time_type_of_schedule(self.schedule)

    @property
    def starts_at(self) -> datetime:
        """Return when it begins."""
        return instant_from_epoch(self.start)

    @property
    def ends_at(self) -> datetime:
        """Return when it has ended."""
        return instant_from_epoch(self.start + self.length)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the token that a text spells.

        Raises:
            ValueError: The text is no token of a timeslot.
        """
        match = _TOKEN.fullmatch(text)
        if match is None:
            raise ValueError("not a timeslot's token")
        return cls(
            schedule=f"{match['unit']}.{match['time_type']}.{match['who']}",
            start=int(match["start"], _BASE),
            length=int(match["length"], _BASE),
        )


@lru_cache(maxsize=1024)
def time_type_token(unit: HsaId, time_type_id: TimeTypeId) -> str:
    """Return the token of a unit's time type."""
    # Interned, since it is in many tables.
    return sys.intern(f"{unit}.{short_hash(time_type_id)}")


def time_type_of_schedule(token: AnyStr) -> AnyStr:
    """Return the token of the time type of a schedule, from the schedule's token."""
    return token[:-_SUFFIX]


def schedule_suffix(token: str) -> str:
    """Return the last part of a schedule's token, unique within its time type."""
    return token[1 - _SUFFIX :]


def unit_of_time_type(token: str) -> str:
    """Return the unit of a time type, from its token; any text is cut in this way."""
    return token[:-_SUFFIX]


@lru_cache(maxsize=1024)
def _schedule_token(
    unit: HsaId,
    time_type_id: TimeTypeId,
    performer: PerformerId | None,
    resource_id: ResourceId | None,
    care_type_id: CareTypeId | None,
) -> str:
    who = "\x1f".join((performer or "", resource_id or "", care_type_id or ""))
    return f"{time_type_token(unit, time_type_id)}.{short_hash(who)}"


def short_hash(text: str) -> str:
    """Return a text's hash as eight digits of base 32, for tokens and ids."""
    # 40 bits: a unit has tens of time types and performers, never millions.
    digest = hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest()
    number = int.from_bytes(digest, "big")
    return (
        _PAIRS[number >> 30]
        + _PAIRS[number >> 20 & 1023]
        + _PAIRS[number >> 10 & 1023]
        + _PAIRS[number & 1023]
    )


def _base32(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, _BASE)
        digits = _DIGITS[digit] + digits
    return digits or "0"
