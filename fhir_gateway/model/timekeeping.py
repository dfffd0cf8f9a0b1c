"""
Time: the only module that converts text to instants and instants to text.

The contracts carry Swedish civil time without an offset (crm:scheduling 1.1.5, chapter
3); FHIR requires an offset on every instant. What each change-over night means:

- *Spring, 02:00 to 03:00 does not exist.* This module refuses a contract time inside
it: moved by an hour, it would not be the time that the unit listed, and the unit would
refuse to book it. - *Autumn, 02:00 to 03:00 exists twice* and the contract cannot say
which. A start is
  read as the first of the two; an end as the first one after its start. Written back,
  both give the text that was read.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

__all__ = [
    "STOCKHOLM",
    "Clock",
    "at_start_of_day",
    "civil_date",
    "civil_date_text",
    "civil_time_text",
    "contract_date",
    "contract_time",
    "date_from_contract",
    "end_from_contract",
    "epoch_seconds",
    "exact_instant_text",
    "http_date_text",
    "instant_from_epoch",
    "instant_from_http_date",
    "instant_from_text",
    "instant_text",
    "minute_of_week",
    "minutes_of_week",
    "now",
    "period_from_search_text",
    "readable_time_text",
    "start_from_contract",
]

STOCKHOLM: Final = ZoneInfo("Europe/Stockholm")

Clock = Callable[[], datetime]

# The schema's patterns (TS, DT) begin a year with 1 to 9.
_CONTRACT_DATE: Final = re.compile(r"[1-9][0-9]{7}")
_CONTRACT_TIME: Final = re.compile(r"[1-9][0-9]{11}(?:[0-9]{2})?")
_SEARCH_TIME: Final = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})"
    r"(?P<fraction>\.[0-9]+)?)?"
    r"(?P<offset>Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?)?)?)?"
)
_INSTANT: Final = re.compile(r"([0-9-]+T[0-9:]+)(?:\.([0-9]+))?(Z|[+-][0-9:]+)")
_MICROSECOND_DIGITS: Final = 6
_DECEMBER: Final = 12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST: Final = timedelta(days=366)
_MINUTE_S: Final = 60
_WEEK_MINUTES: Final = 7 * 24 * 60
# 1970-01-01 was a Thursday; a week begins on Monday.
_FIRST_DAY_MINUTES: Final = 3 * 24 * 60
# Sweden has never put the clock forward and back within a week.
_STEP_S: Final = 7 * 24 * 60 * 60
_LAST_SECOND: Final = 2**32 - 1
# An open bound, such as 9999-12-31, is cut off here: Swedish time and an offset still
# fit beyond it.
_EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
# In some zones, datetime lacks a part of its first and last year. Each of them has as
# many days as the year beside it.
_YEARS_AT_THE_ENDS: Final = {_EARLIEST.year: 1, _LATEST.year: -1}
_COMMON_YEAR: Final = timedelta(days=365)


def now() -> datetime:
    """Return the present instant, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place that may ask the system


def epoch_seconds(instant: datetime) -> int:
    """Return whole seconds since 1970-01-01T00:00:00Z."""
    return int(instant.timestamp())


def instant_from_epoch(seconds: int) -> datetime:
    """
    Return the instant, in UTC.

    Not in Swedish time: Python finds no two times of different zones equal when one of
    them falls in the hour that autumn repeats.
    """
    return datetime.fromtimestamp(seconds, UTC)


def instant_text(instant: datetime) -> str:
    """Return a FHIR `instant`: Swedish time with its offset, to the second."""
    return instant.astimezone(STOCKHOLM).isoformat(timespec="seconds")


def readable_time_text(instant: datetime) -> str:
    """Return a time for people: `2027-05-03 08:00`, Swedish time."""
    return f"{instant.astimezone(STOCKHOLM):%Y-%m-%d %H:%M}"


def exact_instant_text(instant: datetime) -> str:
    """Return a FHIR `instant` to the microsecond: what orders events of one second."""
    return instant.astimezone(STOCKHOLM).isoformat(timespec="microseconds")


def http_date_text(instant: datetime) -> str:
    """Return an HTTP date (RFC 9110, 5.6.7): GMT, to the second."""
    return format_datetime(instant.astimezone(UTC), usegmt=True)


def instant_from_http_date(text: str) -> datetime | None:
    """Return the instant of an HTTP date (RFC 9110, 5.6.7); None for another text."""
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    return None if instant.tzinfo is None else instant.astimezone(UTC)


def civil_date(instant: datetime) -> date:
    """Return the Swedish calendar day that the instant falls on."""
    return instant.astimezone(STOCKHOLM).date()


def at_start_of_day(day: date) -> datetime:
    """Return midnight at the start of a Swedish calendar day."""
    return datetime.combine(day, time(), STOCKHOLM)


def minute_of_week(instant: datetime) -> int:
    """Return the minute of the week on the Swedish clock, 0 for Monday 00:00."""
    civil = instant.astimezone(STOCKHOLM)
    return (civil.weekday() * 24 + civil.hour) * 60 + civil.minute


def minutes_of_week(seconds: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """
    Return the minute of the week that the Swedish clock shows at each instant.

    Args:
        seconds: Whole seconds since 1970-01-01T00:00:00Z, 0 to 2**32 - 1.

    Returns:
        0 for Monday 00:00 until 10079 for Sunday 23:59. Both of the hours that autumn
        repeats have the same minutes.
    """
    instants = seconds.astype(np.int64)
    if not len(instants):
        return instants
    changes, offsets = _clock_changes()
    # Nearly all of the searched times lie between two changes: numpy looks them up at
    # once in a table of the few offsets that they need.
    low, high = np.searchsorted(changes, (instants.min(), instants.max()), "right")
    shown = offsets[low : high + 1][
        np.searchsorted(changes[low:high], instants, "right")
    ]
    minutes: npt.NDArray[np.int64] = (instants + shown) // _MINUTE_S
    return (minutes + _FIRST_DAY_MINUTES) % _WEEK_MINUTES


@cache
def _clock_changes() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return when the Swedish clock changes, and its offset before and after each."""
    changes = []
    offsets = [_offset(0)]
    for until in range(_STEP_S, _LAST_SECOND + _STEP_S, _STEP_S):
        offset = _offset(until)
        if offset == offsets[-1]:
            continue
        low, high = until - _STEP_S, until
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _offset(middle) == offset else (middle, high)
        changes.append(high)
        offsets.append(offset)
    return np.array(changes, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _offset(seconds: int) -> int:
    offset = datetime.fromtimestamp(seconds, STOCKHOLM).utcoffset()
    return int((offset or timedelta()).total_seconds())


def civil_date_text(day: date) -> str:
    """Return a date as the contracts write it: YYYYMMDD."""
    # strftime's %Y gives the year 999 three digits.
    return f"{day.year:04}{day:%m%d}"


def civil_time_text(instant: datetime) -> str:
    """Return a time as the contracts write it: YYYYMMDDhhmmss, Swedish civil time."""
    return instant.astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S")


def date_from_contract(text: str) -> date:
    """
    Return the date that a contract's YYYYMMDD names.

    Raises:
        ValueError: It is not eight digits, or no such day exists.
    """
    if not _CONTRACT_DATE.fullmatch(text):
        raise ValueError("not a date: expected YYYYMMDD")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise ValueError("not a date: there is no such day") from None


@lru_cache(maxsize=16_384)
def contract_time(text: str) -> str:
    """
    Return a contract's time in its full form, YYYYMMDDhhmmss.

    Fourteen digits are the rule; twelve (YYYYMMDDhhmm) are read too, since the TakeCare
    adapter writes them.

    Raises:
        ValueError: It has other characters or another length, or no such time exists.
    """
    return _civil(text).strftime("%Y%m%d%H%M%S")


def contract_date(text: str) -> str:
    """
    Return a contract's date unchanged, when there is such a day.

    Raises:
        ValueError: It is not eight digits, or no such day exists.
    """
    date_from_contract(text)
    return text


@lru_cache(maxsize=16_384)
def start_from_contract(text: str) -> datetime:
    """
    Return the instant at which a contract's civil time first occurs.

    Raises:
        ValueError: The text is no time, lies before 1970, or falls in the hour that
            spring leaves out.
    """
    start = _placed(_civil(text), fold=0)
    if start < _EPOCH:
        raise ValueError("not a start: it lies before 1970")
    return start


@lru_cache(maxsize=16_384)
def end_from_contract(text: str, start: datetime) -> datetime:
    """
    Return the first instant after `start` that a contract's civil time names.

    Raises:
        ValueError: The text is no time, falls in the hour that spring leaves out,
            names no instant after `start`, or lies more than a year after it.
    """
    civil = _civil(text)
    for fold in (0, 1):
        end = _placed(civil, fold=fold)
        if end - start > _LONGEST:
            raise ValueError("not an end: it is more than a year after the start")
        if end > start:
            return end
    raise ValueError("not an end: it is not after the start")


def period_from_search_text(text: str) -> tuple[datetime, datetime]:
    """
    Return the half-open period that a FHIR search date stands for.

    A value stands for the whole of its precision: `2026-03-29` for that day,
    `2026-03` for the month (FHIR R4, search, 3.1.1.4.7). One without an offset is
    Swedish time. The first day of the year 1 and the last of the year 9999, which stand
    for an open bound, are cut off: they are later, and earlier, than written.

    Raises:
        ValueError: It is not a FHIR date or dateTime, no such time exists, or it lacks
            an offset and falls in the hour that spring leaves out.
    """
    match = _SEARCH_TIME.fullmatch(text)
    if match is None:
        raise ValueError(
            "not a date: expected YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with Z or an"
            " offset such as +01:00"
        )
    year = int(match["year"])
    step = _YEARS_AT_THE_ENDS.get(year, 0)
    try:
        start, end = (bound.astimezone(UTC) for bound in _period(match, year + step))
    except ValueError as error:
        raise ValueError(f"not a date: {error}") from None
    if not step:
        return start, end
    return _cut_off(start, end, -step * _COMMON_YEAR)


def instant_from_text(text: str) -> datetime | None:
    """
    Return a FHIR `instant` in UTC; None when no datetime is exactly that instant.

    Such are a leap second, a part of a microsecond, and a year that Python does not
    have.

    Args:
        text: It has the form of an instant.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    whole, fraction, offset = match.groups()
    if fraction is not None and fraction[_MICROSECOND_DIGITS:].strip("0"):
        return None
    microseconds = (fraction or "")[:_MICROSECOND_DIGITS].ljust(
        _MICROSECOND_DIGITS, "0"
    )
    try:
        return datetime.fromisoformat(f"{whole}.{microseconds}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _period(match: re.Match[str], year: int) -> tuple[datetime, datetime]:
    if match["month"] is None:
        return (
            at_start_of_day(date(year, 1, 1)),
            at_start_of_day(date(year + 1, 1, 1)),
        )
    month = int(match["month"])
    if match["day"] is None:
        first = date(year, month, 1)
        following = (
            date(year + 1, 1, 1) if month == _DECEMBER else date(year, month + 1, 1)
        )
        return at_start_of_day(first), at_start_of_day(following)
    day = date(year, month, int(match["day"]))
    if match["hour"] is None:
        return at_start_of_day(day), at_start_of_day(day + timedelta(days=1))
    civil = datetime.combine(
        day,
        time(int(match["hour"]), int(match["minute"]), int(match["second"] or 0)),
    )
    if match["offset"] is None:
        start = _placed(civil, fold=0)
    else:
        start = datetime.fromisoformat(civil.isoformat() + match["offset"])
    precision = timedelta(seconds=1) if match["second"] else timedelta(minutes=1)
    if match["fraction"]:
        start += timedelta(seconds=float("0" + match["fraction"]))
        precision = timedelta(microseconds=1)
    # Added in UTC: an hour later on the clock may be two hours later in October.
    return start, start.astimezone(UTC) + precision


def _cut_off(
    start: datetime, end: datetime, shift: timedelta
) -> tuple[datetime, datetime]:
    """Return a period moved by a year, without its part beyond the bounds."""
    start = max(start, _EARLIEST - shift) if shift < timedelta() else start
    end = min(end, _LATEST - shift) if shift > timedelta() else end
    moment = timedelta(microseconds=1)
    if shift > timedelta():
        start = min(start, end - moment)
    else:
        end = max(end, start + moment)
    return start + shift, end + shift


def _placed(civil: datetime, *, fold: int) -> datetime:
    placed = civil.replace(tzinfo=STOCKHOLM, fold=fold)
    if placed.astimezone(UTC).astimezone(STOCKHOLM).replace(tzinfo=None) != civil:
        raise ValueError("not a time: the clock skips that hour in spring")
    return placed.astimezone(UTC)


def _civil(text: str) -> datetime:
    if not _CONTRACT_TIME.fullmatch(text):
        raise ValueError("not a time: expected YYYYMMDDhhmmss")
    try:
        return datetime(  # noqa: DTZ001 - civil time has no zone until it is placed
            int(text[:4]),
            int(text[4:6]),
            int(text[6:8]),
            int(text[8:10]),
            int(text[10:12]),
            int(text[12:] or 0),
        )
    except ValueError:
        raise ValueError("not a time: there is no such day or hour") from None
