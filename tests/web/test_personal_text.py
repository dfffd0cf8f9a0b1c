"""
Personal numbers and other digits are distinguished.
"""

from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from costs import least_processor_seconds
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.dearest import texts_of_digits
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.web.personal_text import (
    escapes_personal_number,
    has_personal_number,
    holds_personal_number,
)

_DAYS = st.dates(min_value=date(1880, 1, 1), max_value=date(2035, 12, 31))
_SERIALS = st.integers(0, 999)
_DEAR_S = 0.050


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Return a number that is in order, personal or of coordination."""
    day = draw(_DAYS)
    shown = f"{day:%Y%m}{day.day + 60 * draw(st.booleans()):02}{draw(_SERIALS):03}"
    for digit in "0123456789":
        try:
            return PersonalIdentityNumber(shown + digit).reveal()
        except ValueError:
            continue
    raise AssertionError


@given(
    number=numbers(),
    before=st.sampled_from(["", "=", "|", "/", "x", ",", "urn:", "Å", " "]),
    after=st.sampled_from(["", "&", "|", "/", ",", ".", " "]),
    separator=st.sampled_from(["", "-", "+", " "]),
)
@settings(max_examples=examples(500))
def test_a_number_of_twelve_digits_is_found_anywhere(
    *, number: str, before: str, after: str, separator: str
) -> None:
    """Among anything but digits."""
    text = f"{before}{number[:8]}{separator}{number[8:]}{after}"

    assert has_personal_number(text)


@given(
    number=numbers(),
    before=st.sampled_from(["", "=", "|", "/", ",", "(", " "]),
    after=st.sampled_from(["", "&", "|", "/", ",", ".", " "]),
    separator=st.sampled_from(["", "-", "+", " "]),
)
@settings(max_examples=examples(500))
def test_a_number_of_ten_digits_is_found_as_a_word(
    *, number: str, before: str, after: str, separator: str
) -> None:
    """Between marks, or at an end."""
    text = f"{before}{number[2:8]}{separator}{number[8:]}{after}"

    assert has_personal_number(text)


_WAYS_TO_WRITE_IT = [
    *("1912-12121212", "1912-12-12-1212", "19 12 12 12 1212", "19121212--1212"),
    *("1912.12.12-1212", "1912/12/12-1212", "19121212_1212", "19121212 -1212"),
    *("19121212\u20131212", "19121212\u20141212", "19121212\u20111212"),
    *("19121212\u22121212", "19121212\xa01212", "19121212\u200b1212"),
    *("19121212\xad1212", "1912\u200912\u200912\u20091212"),
    "\uff11\uff19\uff11\uff12\uff11\uff12\uff11\uff12\uff0d1212",
    "\u0661\u0669\u0661\u0662\u0661\u0662\u0661\u0662\u0661\u0662\u0661\u0662",
    *("121212\u20131212", "12-12-12-1212", "12 12 12 1212"),
    *("19 12 12 12 12 12", "191212 12 1212", "191 212 121 212", "1912-1212-12-12"),
    *("1 9 1 2 1 2 1 2 1 2 1 2", "12 12 12 12 12", "121 212 12 12", "121212-121-2"),
    *("19121212 - 1212", "19121212:1212", "19121212;1212", "19121212*1212"),
    *("19121212=1212", "19121212,1212", "19121212(1212)", "19121212\n1212"),
    *("1912,12,12,1212", "121212 - 1212", "121212~1212", "19121212|1212"),
    *("{1912}[12]<12>'1212'", "19121212\t\r\n1212", "19121212 \u2022 1212"),
    *("7 5 191212 121212", "20 12 19121212 1212"),
]


@pytest.mark.parametrize("text", _WAYS_TO_WRITE_IT)
def test_a_number_is_found_in_each_spelling(text: str) -> None:
    """Its parts are set apart at any place, with any dash, in any script's digits."""
    assert has_personal_number(f"service-type={text}")


@pytest.mark.parametrize("text", _WAYS_TO_WRITE_IT)
@pytest.mark.parametrize("times", [1, 2])
def test_a_number_in_a_url_is_found_however_it_is_escaped(
    text: str, times: int
) -> None:
    """Percent signs, once or twice, hide no way of writing it."""
    query = text
    for _ in range(times):
        query = quote(query)

    environ = {"PATH_INFO": "/fhir/Slot", "QUERY_STRING": f"service-type={query}"}
    assert holds_personal_number(environ)


@pytest.mark.parametrize(
    "text", ["1912%31212-1212", "19121212%2D1212", "1%39121212%252D1212"]
)
def test_a_number_in_a_header_is_found_however_it_is_escaped(text: str) -> None:
    """Logs are read by people and programs that decode percent signs."""
    assert escapes_personal_number(text)


@given(number=numbers(), wrong=st.integers(1, 9))
def test_a_wrong_check_digit_is_no_number(number: str, wrong: int) -> None:
    """Luhn distinguishes numbers from other digits."""
    assert not has_personal_number(f"{number[:-1]}{(int(number[-1]) + wrong) % 10}")


@given(st.integers(0, 10**4 - 1), st.integers(13, 99), st.integers(0, 99))
def test_an_impossible_date_is_no_number(serial: int, month: int, day: int) -> None:
    """No month has a number above twelve."""
    assert not has_personal_number(f"80{month:02}{day:02}{serial:04}")


@pytest.mark.parametrize(
    "text",
    [
        *("SE2321000016-A01", "SE2321000016-1001", "SE5567037485-1212121212"),
        *("Location/SE2321009901-1001.7rppv31e.aakdr1dm.1lg7p3g.s4",),
        *("http://snomed.info/sct|72791000052103", "72791000052103"),
        *("start=ge2026-12-01", "2026-12-01T08:00:00+01:00", "20261201080000"),
        *("59.3293|18.0686|20|km", "59.6501019801|18.6501019801", "1764144000"),
        *("time-of-day=ge08:00,lt12:00", "urn:oid:1.2.752.29.4.19", "+46 8 465 004 00"),
        *("http://snomed.info/sct|1212121212000", "6501019801a", "b6501019801"),
        *("2026-12-01,2026-12-31", "2026-12-01 08:12", "20261201T0812"),
        *("Ume\xe5", "Ume\xe5 2026-12-01", "10.20.30.40"),
        *("56.05|12.1263", "56.05|12.1263|20|km", "56|12.051263", "56.0512|12.63"),
        *("2026-12-01,2027-12-31", "2012-12-12 12:20", "2012-12-12,2012-12-13"),
        *("06:00,06:01,06:07", "2026-12,2027-05", "08:00%2C12:12,12:12"),
        *("16501019801", "65010198012", "1912121212121", "0191212121212"),
    ],
)
def test_other_digits_are_no_number(text: str) -> None:
    """Ids, codes, times, places and telephone numbers are left alone."""
    assert not has_personal_number(text)


_TIMES_OF_DAY = st.times().map(lambda time: f"{time:%H:%M}")
_MONTHS = _DAYS.map(lambda day: f"{day:%Y-%m}")
_DATES = _DAYS.map(lambda day: f"{day:%Y-%m-%d}")
_MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2040, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.sampled_from([UTC, ZoneInfo("Europe/Stockholm")]),
).map(lambda moment: moment.isoformat(timespec="seconds"))


@given(
    values=st.lists(_TIMES_OF_DAY, min_size=1, max_size=5)
    | st.lists(_MONTHS | _DATES, min_size=1, max_size=5)
    | st.lists(_MOMENTS, min_size=1, max_size=5),
    comma=st.sampled_from([",", "%2C"]),
    after=st.sampled_from(["", "&_count=10"]),
)
@settings(max_examples=examples(2000))
def test_times_in_a_search_are_no_number(
    *, values: list[str], comma: str, after: str
) -> None:
    """However many there are, of days, of moments and of a day."""
    assert not escapes_personal_number(f"start={comma.join(values)}{after}")


def test_a_number_beside_a_time_of_day_is_found() -> None:
    """A time of day is taken out of a text only before another one."""
    assert has_personal_number("08:00,19121212-1212")
    assert has_personal_number("08:00,09:00 19121212-1212")


def test_ids_of_appointments_are_no_numbers() -> None:
    """Not one that is made up of digits alone by chance."""
    assert not any(has_personal_number(str(uuid4())) for _ in range(10_000))
    assert not has_personal_number("19121212-1212-4121-8121-191212121212")


@given(st.integers(0, 10**9), st.sampled_from(["00", "10"]))
@settings(max_examples=examples(300))
def test_a_code_of_snomed_is_no_number(item: int, partition: str) -> None:
    """A concept's identifier has a check digit of its own, and its system before it."""
    stem = f"{item + 10_000}{partition}"
    (code,) = [
        f"{stem}{digit}" for digit in range(10) if verhoeff(f"{stem}{digit}") == 0
    ]

    assert not has_personal_number(f"service-type=http://snomed.info/sct|{code}")


def test_a_number_is_no_code_of_snomed() -> None:
    """With SNOMED CT's system before it, a person's number is one all the same."""
    numbers_ = (
        f"{date(1950, 1, 1) + timedelta(days=day):%Y%m%d}980" for day in range(500)
    )
    whole = [
        text
        for stem in numbers_
        for text in (f"{stem}{digit}" for digit in range(10))
        if has_personal_number(text)
    ]
    missed = [
        text
        for text in whole
        if not has_personal_number(f"http://snomed.info/sct|{text}")
    ]

    assert len(whole) == 500
    assert all(text[-3:-1] in ("00", "10") for text in missed)
    assert len(missed) < 5


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in texts_of_digits(16_384)]
)
def test_no_text_is_dear_to_look_through(text: str) -> None:
    """Wherever a number may begin, 16 KiB cost milliseconds of a processor."""

    def look() -> None:
        assert not escapes_personal_number(text)

    assert least_processor_seconds(look, enough=_DEAR_S) < _DEAR_S


def verhoeff(digits: str) -> int:
    """Return the sum of Verhoeff's scheme by its own definition; 0 when it is right."""

    def times(a: int, b: int) -> int:
        if a < 5:
            return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
        return 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5

    start = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    check = 0
    for position, text in enumerate(reversed(digits)):
        digit = int(text)
        for _ in range(position % 8):
            digit = start[digit]
        check = times(check, digit)
    return check
