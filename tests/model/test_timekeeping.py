"""
Time: contract text, instants and search periods, above all on the change-over nights.

In 2026 the clock goes forward on 29 March and back on 25 October.
"""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from examples import examples
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fhir_gateway.model.timekeeping import (
    STOCKHOLM,
    at_start_of_day,
    civil_date,
    civil_date_text,
    civil_time_text,
    contract_date,
    contract_time,
    date_from_contract,
    end_from_contract,
    epoch_seconds,
    instant_from_epoch,
    instant_text,
    minutes_of_week,
    now,
    period_from_search_text,
    start_from_contract,
)

NO_TIME = "not a time: expected YYYYMMDDhhmmss"
NO_SUCH_TIME = "not a time: there is no such day or hour"
SKIPPED = "not a time: the clock skips that hour in spring"
NO_DATE = "not a date: expected YYYYMMDD"
NO_SUCH_DAY = "not a date: there is no such day"
NO_SEARCH_DATE = (
    "not a date: expected YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with Z or an offset such"
    " as +01:00"
)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ------------------------------------------------------------------ contract to instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("20260115083000", "2026-01-15T07:30:00", id="winter"),
        pytest.param("20260715083000", "2026-07-15T06:30:00", id="summer"),
        pytest.param("202607150830", "2026-07-15T06:30:00", id="twelve digits"),
        pytest.param("20260715000000", "2026-07-14T22:00:00", id="midnight"),
        pytest.param("20260101000000", "2025-12-31T23:00:00", id="new year"),
        pytest.param("20261231235959", "2026-12-31T22:59:59", id="year end"),
        pytest.param("20240229120000", "2024-02-29T11:00:00", id="leap day"),
        pytest.param("20260329015959", "2026-03-29T00:59:59", id="before the gap"),
        pytest.param("20260329030000", "2026-03-29T01:00:00", id="after the gap"),
        pytest.param("20261025015959", "2026-10-24T23:59:59", id="before the doubling"),
        pytest.param("20261025020000", "2026-10-25T00:00:00", id="first of it"),
        pytest.param("20261025023000", "2026-10-25T00:30:00", id="within it"),
        pytest.param("20261025025959", "2026-10-25T00:59:59", id="last of it"),
        pytest.param("20261025030000", "2026-10-25T02:00:00", id="after the doubling"),
        pytest.param("19700101010000", "1970-01-01T00:00:00", id="the first second"),
        pytest.param("99991231235959", "9999-12-31T22:59:59", id="the last second"),
    ],
)
def test_start_is_the_first_instant_of_its_civil_time(text: str, instant: str) -> None:
    """A start is Swedish time; of the repeated hour it is the first."""
    assert start_from_contract(text) == _utc(instant)


@pytest.mark.parametrize(
    ("text", "start", "instant"),
    [
        pytest.param(
            "20260715090000", "2026-07-15T06:30:00", "2026-07-15T07:00:00", id="summer"
        ),
        pytest.param(
            "20260716000000",
            "2026-07-15T21:30:00",
            "2026-07-15T22:00:00",
            id="midnight",
        ),
        pytest.param(
            "20260329030000",
            "2026-03-29T00:30:00",
            "2026-03-29T01:00:00",
            id="across the gap",
        ),
        pytest.param(
            "20261025023000",
            "2026-10-24T23:45:00",
            "2026-10-25T00:30:00",
            id="into the first hour",
        ),
        pytest.param(
            "20261025024500",
            "2026-10-25T00:30:00",
            "2026-10-25T00:45:00",
            id="within the first hour",
        ),
        pytest.param(
            "20261025021500",
            "2026-10-25T00:45:00",
            "2026-10-25T01:15:00",
            id="from the first hour into the second",
        ),
        pytest.param(
            "20261025023000",
            "2026-10-25T00:30:00",
            "2026-10-25T01:30:00",
            id="the same text in the second hour",
        ),
        pytest.param(
            "20261025030000",
            "2026-10-25T00:30:00",
            "2026-10-25T02:00:00",
            id="after both",
        ),
        pytest.param(
            "20270715083000",
            "2026-07-15T06:30:00",
            "2027-07-15T06:30:00",
            id="a year later",
        ),
    ],
)
def test_end_is_the_first_instant_after_its_start(
    text: str, start: str, instant: str
) -> None:
    """An end is the first instant of its civil time that comes after the start."""
    assert end_from_contract(text, _utc(start)) == _utc(instant)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("20260329020000", id="first second"),
        pytest.param("20260329023000", id="half past"),
        pytest.param("202603290230", id="half past in twelve digits"),
        pytest.param("20260329025959", id="last second"),
    ],
)
def test_time_in_the_hour_that_spring_skips_is_refused(text: str) -> None:
    """Neither a start nor an end can lie where the clock never was."""
    with pytest.raises(ValueError, match=SKIPPED):
        start_from_contract(text)
    with pytest.raises(ValueError, match=SKIPPED):
        end_from_contract(text, _utc("2026-03-29T00:00:00"))


@pytest.mark.parametrize(
    ("text", "start"),
    [
        pytest.param("20260715083000", "2026-07-15T06:30:00", id="at its start"),
        pytest.param("20260715080000", "2026-07-15T06:30:00", id="before its start"),
        pytest.param("20261025021500", "2026-10-25T01:30:00", id="after both of it"),
    ],
)
def test_end_that_is_not_after_its_start_is_refused(text: str, start: str) -> None:
    """A time that has passed at the start is no end."""
    with pytest.raises(ValueError, match="not an end: it is not after the start"):
        end_from_contract(text, _utc(start))


def test_end_far_from_its_start_is_refused() -> None:
    """An end more than a year after the start is a mistake."""
    with pytest.raises(ValueError, match="it is more than a year after the start"):
        end_from_contract("99991231235959", _utc("2026-07-15T06:30:00"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("19700101005959", id="a second before"),
        pytest.param("19000101000000", id="a placeholder"),
        pytest.param("10000101000000", id="the year 1000"),
    ],
)
def test_start_before_1970_is_refused(text: str) -> None:
    """Nothing is booked before the epoch, and no token could be made of it."""
    with pytest.raises(ValueError, match="not a start: it lies before 1970"):
        start_from_contract(text)


@settings(max_examples=examples(300), deadline=None)
@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)))  # noqa: DTZ001 - civil time
@example(datetime(2026, 3, 29, 2, 30))  # noqa: DTZ001 - same
@example(datetime(2026, 10, 25, 2, 30))  # noqa: DTZ001 - same
def test_text_survives_the_journey_through_an_instant(civil: datetime) -> None:
    """Outside the gap, what is written back is what was read."""
    text = f"{civil:%Y%m%d%H%M%S}"
    try:
        start = start_from_contract(text)
    except ValueError:
        assume(False)  # noqa: FBT003 - a skipped hour

    assert civil_time_text(start) == text


@settings(max_examples=examples(300), deadline=None)
@given(
    hours=st.integers(0, 365 * 24),
    minutes=st.integers(0, 59),
    length=st.integers(1, 48 * 60),
)
def test_start_and_end_survive_the_journey_all_year(
    hours: int, minutes: int, length: int
) -> None:
    """Through both change-over nights, start and end are written back as read."""
    first = _utc("2026-01-01T00:00:00") + timedelta(hours=hours, minutes=minutes)
    start_text = civil_time_text(first)
    end_text = civil_time_text(first + timedelta(minutes=length))
    start = start_from_contract(start_text)
    end = end_from_contract(end_text, start)

    assert (civil_time_text(start), civil_time_text(end)) == (start_text, end_text)
    assert start < end


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", NO_TIME, id="nothing"),
        pytest.param("20260715", NO_TIME, id="a date"),
        pytest.param("2026071508", NO_TIME, id="ten digits"),
        pytest.param("2026071508300", NO_TIME, id="thirteen digits"),
        pytest.param("202607150830000", NO_TIME, id="fifteen digits"),
        pytest.param("2026-07-15T08:30:00", NO_TIME, id="ISO 8601"),
        pytest.param("20260715083000Z", NO_TIME, id="an offset"),
        pytest.param(" 20260715083000", NO_TIME, id="a blank"),
        pytest.param("20260715083000\n", NO_TIME, id="a line break"),
        pytest.param("+0260715083000", NO_TIME, id="a sign"),
        pytest.param("00000715083000", NO_TIME, id="year 0000"),
        pytest.param("09990715083000", NO_TIME, id="year 0999"),
        pytest.param("2026071508300\u0660", NO_TIME, id="an Arabic digit"),
        pytest.param("20260001083000", NO_SUCH_TIME, id="month 00"),
        pytest.param("20261301083000", NO_SUCH_TIME, id="month 13"),
        pytest.param("20260700083000", NO_SUCH_TIME, id="day 00"),
        pytest.param("20260732083000", NO_SUCH_TIME, id="day 32"),
        pytest.param("20260231083000", NO_SUCH_TIME, id="31 February"),
        pytest.param("20260229083000", NO_SUCH_TIME, id="29 February of no leap year"),
        pytest.param("20260715240000", NO_SUCH_TIME, id="hour 24"),
        pytest.param("20260715086000", NO_SUCH_TIME, id="minute 60"),
        pytest.param("20260715083060", NO_SUCH_TIME, id="second 60"),
    ],
)
def test_text_that_is_no_time_is_refused(text: str, message: str) -> None:
    """What is no time of a contract is refused by each of its readers alike."""
    messages = []
    for reader in (
        start_from_contract,
        contract_time,
        lambda text: end_from_contract(text, _utc("2026-07-15T06:00:00")),
    ):
        with pytest.raises(ValueError, match="not a time") as caught:
            reader(text)
        messages.append(str(caught.value))

    assert messages == [message] * 3


@pytest.mark.parametrize(
    ("text", "full"),
    [
        pytest.param("20260715083015", "20260715083015", id="fourteen digits"),
        pytest.param("202607150830", "20260715083000", id="twelve digits"),
        pytest.param("20260329023000", "20260329023000", id="in the skipped hour"),
        pytest.param("10000101000000", "10000101000000", id="the first year"),
    ],
)
def test_contract_time_is_written_in_full(text: str, full: str) -> None:
    """A contract's time has fourteen digits, whether or not the clock showed it."""
    assert contract_time(text) == full


# -------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("text", "day"),
    [
        pytest.param("20260715", date(2026, 7, 15), id="a day"),
        pytest.param("20240229", date(2024, 2, 29), id="a leap day"),
        pytest.param("10000101", date(1000, 1, 1), id="the first"),
        pytest.param("99991231", date(9999, 12, 31), id="the last"),
    ],
)
def test_date_is_read_and_written(text: str, day: date) -> None:
    """A contract's date is read, checked and written alike."""
    assert (date_from_contract(text), contract_date(text), civil_date_text(day)) == (
        day,
        text,
        text,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", NO_DATE, id="nothing"),
        pytest.param("2026-07-15", NO_DATE, id="ISO 8601"),
        pytest.param("2026071", NO_DATE, id="seven digits"),
        pytest.param("202607155", NO_DATE, id="nine digits"),
        pytest.param("20260715\n", NO_DATE, id="a line break"),
        pytest.param("00000101", NO_DATE, id="year 0000"),
        pytest.param("09991231", NO_DATE, id="year 0999"),
        pytest.param("2026071\u0665", NO_DATE, id="an Arabic digit"),
        pytest.param("20260231", NO_SUCH_DAY, id="31 February"),
        pytest.param("20260700", NO_SUCH_DAY, id="day 00"),
        pytest.param("20260015", NO_SUCH_DAY, id="month 00"),
        pytest.param("20250229", NO_SUCH_DAY, id="29 February of no leap year"),
    ],
)
def test_text_that_is_no_date_is_refused(text: str, message: str) -> None:
    """What is no date of a contract is refused."""
    with pytest.raises(ValueError, match="not a date") as caught:
        contract_date(text)

    assert str(caught.value) == message


@settings(max_examples=examples(200), deadline=None)
@given(st.dates())
def test_any_date_is_written_in_eight_digits(day: date) -> None:
    """A date has eight digits, before the year 1000 too."""
    assert civil_date_text(day) == day.isoformat().replace("-", "")


# ----------------------------------------------------------------------------- instants


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        pytest.param(
            "2026-01-15T07:30:00", "2026-01-15T08:30:00+01:00", id="in winter"
        ),
        pytest.param(
            "2026-07-15T06:30:00", "2026-07-15T08:30:00+02:00", id="in summer"
        ),
        pytest.param(
            "2026-10-25T00:30:00", "2026-10-25T02:30:00+02:00", id="first of the hour"
        ),
        pytest.param(
            "2026-10-25T01:30:00", "2026-10-25T02:30:00+01:00", id="second of the hour"
        ),
        pytest.param(
            "2026-03-29T01:00:00", "2026-03-29T03:00:00+02:00", id="after the gap"
        ),
        pytest.param(
            "2026-12-31T23:00:00", "2027-01-01T00:00:00+01:00", id="at new year"
        ),
    ],
)
def test_instant_is_written_with_the_offset_of_its_day(instant: str, text: str) -> None:
    """A FHIR instant carries the offset that distinguishes the repeated hours."""
    assert instant_text(_utc(instant)) == text


def test_instant_is_written_to_the_second() -> None:
    """Fractions of a second are left out."""
    instant = _utc("2026-07-15T06:30:00.999999")

    assert instant_text(instant) == "2026-07-15T08:30:00+02:00"


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        pytest.param("2026-07-14T21:59:59", date(2026, 7, 14), id="before midnight"),
        pytest.param("2026-07-14T22:00:00", date(2026, 7, 15), id="summer midnight"),
        pytest.param("2026-12-31T23:00:00", date(2027, 1, 1), id="winter midnight"),
    ],
)
def test_civil_date_is_the_swedish_one(instant: str, day: date) -> None:
    """An instant falls on the day of the Swedish calendar."""
    assert civil_date(_utc(instant)) == day


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param(date(2026, 3, 28), 24, id="a common day"),
        pytest.param(date(2026, 3, 29), 23, id="the day that loses an hour"),
        pytest.param(date(2026, 10, 25), 25, id="the day that gains an hour"),
        pytest.param(date(2026, 12, 31), 24, id="the last of the year"),
        pytest.param(date(2024, 2, 29), 24, id="a leap day"),
    ],
)
def test_day_is_as_long_as_it_is(day: date, hours: int) -> None:
    """From midnight to midnight there are 23, 24 or 25 hours."""
    start = at_start_of_day(day).astimezone(UTC)
    end = at_start_of_day(day + timedelta(days=1)).astimezone(UTC)

    assert end - start == timedelta(hours=hours)


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 253_402_297_199))
def test_epoch_survives_the_journey_through_an_instant(seconds: int) -> None:
    """Seconds since 1970 give an instant in UTC, and are given back."""
    instant = instant_from_epoch(seconds)

    assert (epoch_seconds(instant), instant.tzinfo) == (seconds, UTC)


def test_an_instant_of_the_repeated_hour_equals_itself() -> None:
    """An instant in autumn's repeated hour equals the same one with an offset."""
    later = datetime.fromisoformat("2026-10-25T02:30:00+01:00")

    assert instant_from_epoch(int(later.timestamp())) == later


def test_present_instant_is_in_utc() -> None:
    """The present comes with its zone, and goes forward."""
    earlier = now()

    assert earlier.tzinfo is UTC
    assert earlier <= now()


# ----------------------------------------------------------------------- search periods


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        pytest.param("2026", "2025-12-31T23:00:00", "2026-12-31T23:00:00", id="year"),
        pytest.param(
            "2026-02", "2026-01-31T23:00:00", "2026-02-28T23:00:00", id="month"
        ),
        pytest.param(
            "2024-02", "2024-01-31T23:00:00", "2024-02-29T23:00:00", id="leap month"
        ),
        pytest.param(
            "2026-12", "2026-11-30T23:00:00", "2026-12-31T23:00:00", id="December"
        ),
        pytest.param(
            "2026-03",
            "2026-02-28T23:00:00",
            "2026-03-31T22:00:00",
            id="the month that loses an hour",
        ),
        pytest.param(
            "2026-07-15", "2026-07-14T22:00:00", "2026-07-15T22:00:00", id="day"
        ),
        pytest.param(
            "2024-02-29", "2024-02-28T23:00:00", "2024-02-29T23:00:00", id="leap day"
        ),
        pytest.param(
            "2026-03-29",
            "2026-03-28T23:00:00",
            "2026-03-29T22:00:00",
            id="the day of 23 hours",
        ),
        pytest.param(
            "2026-10-25",
            "2026-10-24T22:00:00",
            "2026-10-25T23:00:00",
            id="the day of 25 hours",
        ),
        pytest.param(
            "2026-07-15T08:30",
            "2026-07-15T06:30:00",
            "2026-07-15T06:31:00",
            id="minute",
        ),
        pytest.param(
            "2026-07-15T08:30+02:00",
            "2026-07-15T06:30:00",
            "2026-07-15T06:31:00",
            id="minute with an offset",
        ),
        pytest.param(
            "2026-07-15T08:30:00",
            "2026-07-15T06:30:00",
            "2026-07-15T06:30:01",
            id="second",
        ),
        pytest.param(
            "2026-07-15T08:30:00Z",
            "2026-07-15T08:30:00",
            "2026-07-15T08:30:01",
            id="Z",
        ),
        pytest.param(
            "2026-07-15T08:30:00-05:30",
            "2026-07-15T14:00:00",
            "2026-07-15T14:00:01",
            id="offset",
        ),
        pytest.param(
            "2026-07-15T08:30:00+14:00",
            "2026-07-14T18:30:00",
            "2026-07-14T18:30:01",
            id="the largest offset",
        ),
        pytest.param(
            "2026-07-15T08:30:00-00:00",
            "2026-07-15T08:30:00",
            "2026-07-15T08:30:01",
            id="minus zero",
        ),
        pytest.param(
            "2026-07-15T08:30:00.25Z",
            "2026-07-15T08:30:00.250000",
            "2026-07-15T08:30:00.250001",
            id="fraction",
        ),
        pytest.param(
            "2026-07-15T23:59:59.9999999Z",
            "2026-07-16T00:00:00",
            "2026-07-16T00:00:00.000001",
            id="fraction beyond what is counted",
        ),
        pytest.param(
            "2026-03-29T03:00",
            "2026-03-29T01:00:00",
            "2026-03-29T01:01:00",
            id="after the gap",
        ),
        pytest.param(
            "2026-03-29T02:30:00+01:00",
            "2026-03-29T01:30:00",
            "2026-03-29T01:30:01",
            id="the skipped hour with an offset",
        ),
        pytest.param(
            "2026-10-25T02:59",
            "2026-10-25T00:59:00",
            "2026-10-25T01:00:00",
            id="the repeated hour without an offset",
        ),
        pytest.param(
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T01:30:00",
            "2026-10-25T01:30:01",
            id="the second of the repeated hours",
        ),
        pytest.param(
            "9998", "9997-12-31T23:00:00", "9998-12-31T23:00:00", id="a late year"
        ),
        pytest.param(
            "9999-12-30",
            "9999-12-29T23:00:00",
            "9999-12-30T23:00:00",
            id="the last day but one",
        ),
    ],
)
def test_search_date_stands_for_its_whole_precision(
    text: str, start: str, end: str
) -> None:
    """A search date is the half-open period of its precision, in Swedish time."""
    assert period_from_search_text(text) == (_utc(start), _utc(end))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("26", id="two digits"),
        pytest.param("202607", id="six digits"),
        pytest.param("20260715", id="a contract's date"),
        pytest.param("20260715083000", id="a contract's time"),
        pytest.param("2026-7-15", id="one digit for a month"),
        pytest.param("2026-07-15T", id="T alone"),
        pytest.param("2026-07-15T08", id="an hour alone"),
        pytest.param("2026-07-15 08:30:00", id="a blank for T"),
        pytest.param("2026-07-15t08:30:00z", id="lower case"),
        pytest.param("2026-07-15T08:30:00 01:00", id="a plus that was unescaped"),
        pytest.param("2026-07-15T08:30:00+1:00", id="an offset of one digit"),
        pytest.param("2026-07-15T08:30:00+0100", id="an offset without colon"),
        pytest.param("2026-07-15T08:30:00+01", id="an offset of hours"),
        pytest.param("2026-07-15T08:30:00+14:01", id="an offset beyond 14:00"),
        pytest.param("2026-07-15T08:30:00+15:00", id="an offset of 15 hours"),
        pytest.param("2026-07-15T08:30:00+25:00", id="an offset of 25 hours"),
        pytest.param("2026-07-15T08:30:00+01:60", id="an offset of 60 minutes"),
        pytest.param("2026-07-15T08:30:00ZZ", id="two offsets"),
        pytest.param("2026-07-15T08:30:00.", id="a full stop"),
        pytest.param("2026-07-15T08:30:00,5", id="a comma"),
        pytest.param("2026-07-15T08:30.5", id="a fraction of a minute"),
        pytest.param("2026-07-15Z", id="a day with an offset"),
        pytest.param("-2026-07-15", id="a sign"),
        pytest.param("12026-07-15", id="five digits for a year"),
        pytest.param("2026-07-15\n", id="a line break"),
        pytest.param(" 2026-07-15", id="a blank"),
        pytest.param("2026-W29", id="a week"),
        pytest.param("2026-196", id="a day of the year"),
        pytest.param("\u0662\u0660\u0662\u0666", id="Arabic digits"),
        pytest.param("today", id="a word"),
        pytest.param("ge2026-07-15", id="a prefix"),
    ],
)
def test_text_that_is_no_search_date_is_refused(text: str) -> None:
    """What is not spelt as FHIR spells a date is refused with an example."""
    with pytest.raises(ValueError, match="not a date") as caught:
        period_from_search_text(text)

    assert str(caught.value) == NO_SEARCH_DATE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0000", id="year 0000"),
        pytest.param("0000-01", id="a month of the year 0000"),
        pytest.param("0000-01-01", id="a day of the year 0000"),
        pytest.param("0001-13", id="month 13 of the first year"),
        pytest.param("0001-02-29", id="29 February of the first year"),
        pytest.param("9999-00", id="month 00 of the last year"),
        pytest.param("9999-02-29", id="29 February of the last year"),
        pytest.param("2026-00", id="month 00"),
        pytest.param("2026-13", id="month 13"),
        pytest.param("2026-02-29", id="29 February of no leap year"),
        pytest.param("2026-02-00", id="day 00"),
        pytest.param("2026-04-31", id="31 April"),
        pytest.param("2026-07-15T24:00", id="hour 24"),
        pytest.param("2026-07-15T24:00:00Z", id="hour 24 with an offset"),
        pytest.param("2026-07-15T08:60", id="minute 60"),
        pytest.param("2026-07-15T08:30:60Z", id="second 60"),
        pytest.param("2026-03-29T02:30", id="a minute that spring skips"),
        pytest.param("2026-03-29T02:30:00", id="a second that spring skips"),
    ],
)
def test_search_date_that_does_not_exist_is_refused(text: str) -> None:
    """A date without an instant is refused, in one line that begins the same."""
    with pytest.raises(ValueError, match="not a date: "):
        period_from_search_text(text)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("0001", "0001-01-02T00:00:00", "0001-12-31T22:47:48"),
        ("0001-01-01", "0001-01-02T00:00:00", "0001-01-02T00:00:00.000001"),
        ("0001-01-01T00:00:00", "0001-01-02T00:00:00", "0001-01-02T00:00:00.000001"),
        (
            "0001-01-01T00:00:00+14:00",
            "0001-01-02T00:00:00",
            "0001-01-02T00:00:00.000001",
        ),
        ("0001-01-03", "0001-01-02T22:47:48", "0001-01-03T22:47:48"),
        ("9999", "9998-12-31T23:00:00", "9999-12-31T00:00:00"),
        ("9999-12", "9999-11-30T23:00:00", "9999-12-31T00:00:00"),
        ("9999-12-31", "9999-12-30T23:00:00", "9999-12-31T00:00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-30T23:59:59.999999", "9999-12-31T00:00:00"),
        (
            "9999-12-31T23:59:59-14:00",
            "9999-12-30T23:59:59.999999",
            "9999-12-31T00:00:00",
        ),
    ],
)
def test_an_open_bound_is_cut_off(text: str, start: str, end: str) -> None:
    """The ends of the calendar, which say "ever", are a period that datetime holds."""
    assert period_from_search_text(text) == (_utc(start), _utc(end))


@settings(max_examples=examples(300), deadline=None)
@given(
    st.text("0123456789-:T.Z+", max_size=32)
    | st.builds(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}".format,
        st.integers(0, 9999),
        st.integers(0, 13),
        st.integers(0, 32),
        st.integers(0, 25),
        st.integers(0, 61),
        st.integers(0, 61),
        st.sampled_from(["", "Z", "+14:00", "-14:00", "+01:00", ".5", ".999999999Z"]),
    )
)
def test_any_search_date_is_a_period_or_refused(text: str) -> None:
    """Every text gives a period of UTC that has a length, or ValueError."""
    try:
        start, end = period_from_search_text(text)
    except ValueError:
        return

    assert start < end
    assert (start.tzinfo, end.tzinfo) == (UTC, UTC)


# Minutes of the week.


def _scalar_minute(seconds: int) -> int:
    shown = datetime.fromtimestamp(seconds, STOCKHOLM)
    return (shown.weekday() * 24 + shown.hour) * 60 + shown.minute


# The two change-over nights of some years, an hour and a half around each.
_NIGHTS = [
    int(datetime(year, month, day, 1, tzinfo=UTC).timestamp())
    for year, month, day in (
        *((1980, 4, 6), (1980, 9, 28), (1996, 10, 27), (2026, 3, 29)),
        *((2026, 10, 25), (2027, 3, 28), (2099, 3, 29), (2099, 10, 25)),
    )
]


@given(
    st.lists(
        st.integers(0, 2**32 - 1)
        | st.builds(int.__add__, st.sampled_from(_NIGHTS), st.integers(-5400, 5400)),
        max_size=30,
    )
)
@example([_NIGHTS[4] - 1, _NIGHTS[4], _NIGHTS[4] + 1])
@example([_NIGHTS[3] - 1, _NIGHTS[3], _NIGHTS[3] + 1])
def test_minutes_of_the_week_are_what_the_clock_shows(seconds: list[int]) -> None:
    """The columns' way agrees with the scalar way, at any instant from 1970 to 2106."""
    minutes = minutes_of_week(np.array(seconds, dtype=np.uint64))

    assert minutes.tolist() == [_scalar_minute(each) for each in seconds]


def test_autumns_hour_is_shown_twice_and_springs_never() -> None:
    """Both of autumn's 02:30 have one minute; spring goes from 01:59 to 03:00."""
    sunday = 6 * 24 * 60
    autumn, spring = _NIGHTS[4], _NIGHTS[3]

    assert minutes_of_week(np.array([autumn - 1800, autumn + 1800])).tolist() == (
        [sunday + 150] * 2
    )
    assert minutes_of_week(np.array([spring - 1, spring])).tolist() == [
        sunday + 119,
        sunday + 180,
    ]
