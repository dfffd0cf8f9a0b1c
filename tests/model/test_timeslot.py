"""
Tokens: stable, distinct, and within FHIR's rule for ids.
"""

import dataclasses
import re
from datetime import UTC, datetime, timedelta

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.model.ids import (
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.timeslot import (
    Schedule,
    Timeslot,
    TimeslotToken,
    schedule_suffix,
    time_type_of_schedule,
    time_type_token,
    unit_of_time_type,
)

FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")

SCHEDULE = Schedule(
    unit=HsaId("SE2321000016-A01"),
    time_type_id=TimeTypeId("101"),
    time_type_name="Läkarbesök",
    performer=PerformerId("SE2321000016-P01"),
    performer_name="Agnes Testberg",
    resource_id=ResourceId("R3"),
    resource_name="Rum 3",
    care_type_id=CareTypeId("V1"),
    care_type_name="Besök",
)
TIMESLOT = Timeslot(
    schedule=SCHEDULE,
    start=datetime(2026, 10, 24, 6, 30, tzinfo=UTC),
    end=datetime(2026, 10, 24, 7, tzinfo=UTC),
)
TOKEN = "SE2321000016-A01.0emn0qoo.inlc3bnu.1ldok38.1o8"

_HSA_IDS = st.builds(
    "{}{}".format,
    st.sampled_from("AZ09"),
    st.text("AZ09.-", max_size=30),
).map(HsaId)
_CODES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
_SCHEDULES = st.builds(
    Schedule,
    unit=_HSA_IDS,
    time_type_id=_CODES.map(TimeTypeId),
    time_type_name=st.just("x"),
    performer=st.none() | _HSA_IDS,
    resource_id=st.none() | _CODES.map(ResourceId),
    care_type_id=st.none() | _CODES.map(CareTypeId),
)
_LONGEST = timedelta(days=366)
_TIMESLOTS = st.builds(
    lambda schedule, start, length: Timeslot(
        schedule=schedule, start=start, end=start + length
    ),
    _SCHEDULES,
    st.datetimes(
        datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        datetime(9998, 12, 30),  # noqa: DTZ001 - same
        timezones=st.just(UTC),
    ).map(lambda instant: instant.replace(microsecond=0)),
    st.integers(1, int(_LONGEST.total_seconds())).map(
        lambda seconds: timedelta(seconds=seconds)
    ),
)


def test_token_is_the_same_from_run_to_run() -> None:
    """A known timeslot has a known token: clients keep it from run to run."""
    assert (
        TIMESLOT.token,
        TIMESLOT.schedule.token,
        time_type_token(SCHEDULE.unit, SCHEDULE.time_type_id),
    ) == (TOKEN, TOKEN[:-12], TOKEN[:-21])


def test_token_of_a_schedule_without_performer_is_known() -> None:
    """Where nobody is named the token is as stable."""
    schedule = Schedule(
        unit=HsaId("SE1"), time_type_id=TimeTypeId("101"), time_type_name="x"
    )

    assert schedule.token == "SE1.0emn0qoo.0epvq05f"


def test_token_is_taken_apart() -> None:
    """A token says where a timeslot belongs and when it is."""
    token = TimeslotToken.parse(TOKEN)

    assert (
        token.text,
        token.unit,
        token.time_type,
        token.schedule,
        token.starts_at,
        token.ends_at,
    ) == (
        TOKEN,
        HsaId("SE2321000016-A01"),
        "SE2321000016-A01.0emn0qoo",
        "SE2321000016-A01.0emn0qoo.inlc3bnu",
        TIMESLOT.start,
        TIMESLOT.end,
    )


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param("SE1.A.B-C", id="full stops and hyphens"),
        pytest.param("A.12345678", id="a part like a hash"),
        pytest.param("A.12345678.12345678.1.1", id="parts like a token"),
        pytest.param("A.", id="a full stop last"),
        pytest.param("A..B--", id="doubled"),
        pytest.param("A" * 31, id="as long as may be"),
    ],
)
def test_token_gives_back_a_unit_of_any_shape(unit: str) -> None:
    """Full stops in a unit's HSA-id do not confuse where it ends."""
    schedule = dataclasses.replace(SCHEDULE, unit=HsaId(unit))

    token = TimeslotToken.parse(dataclasses.replace(TIMESLOT, schedule=schedule).token)

    assert (token.unit, token.schedule) == (unit, schedule.token)


@settings(max_examples=examples(300), deadline=None)
@given(_TIMESLOTS)
def test_any_token_is_a_fhir_id(timeslot: Timeslot) -> None:
    """However extreme a timeslot is, its token keeps to FHIR's rule for ids."""
    assert FHIR_ID.fullmatch(timeslot.token)


@settings(max_examples=examples(300), deadline=None)
@given(_SCHEDULES)
def test_any_token_of_a_schedule_is_cut_where_it_was_joined(schedule: Schedule) -> None:
    """A schedule's token gives back its time type's, and that its unit."""
    time_type = time_type_token(schedule.unit, schedule.time_type_id)
    token = schedule.token

    assert (
        time_type_of_schedule(token),
        time_type_of_schedule(token.encode()),
        f"{time_type}.{schedule_suffix(token)}",
        unit_of_time_type(time_type),
    ) == (time_type, time_type.encode(), token, schedule.unit)


@settings(max_examples=examples(300), deadline=None)
@given(_TIMESLOTS)
def test_any_token_spells_what_it_was_made_of(timeslot: Timeslot) -> None:
    """Parsing a token and writing it again gives the same text and times."""
    token = TimeslotToken.parse(timeslot.token)

    assert (token.text, token.unit, token.schedule) == (
        timeslot.token,
        timeslot.schedule.unit,
        timeslot.schedule.token,
    )
    assert (token.starts_at, token.ends_at) == (timeslot.start, timeslot.end)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.builds(
        "{}.{}.{}.{}.{}".format,
        _HSA_IDS,
        st.text("0123456789abcdefghijklmnopqrstuv", min_size=8, max_size=8),
        st.text("0123456789abcdefghijklmnopqrstuv", min_size=8, max_size=8),
        st.text("0123456789abcdefghijklmnopqrstuv", min_size=1, max_size=9),
        st.text("0123456789abcdefghijklmnopqrstuv", min_size=1, max_size=9),
    )
)
def test_any_accepted_text_is_the_only_spelling(text: str) -> None:
    """What is accepted is written back unchanged, and its times exist."""
    try:
        token = TimeslotToken.parse(text)
    except ValueError:
        return

    assert token.text == text
    assert token.starts_at <= token.ends_at
    assert FHIR_ID.fullmatch(text)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"unit": HsaId("SE2321000016-A02")}, id="unit"),
        pytest.param({"time_type_id": TimeTypeId("102")}, id="time type"),
        pytest.param({"time_type_id": TimeTypeId("101 ")}, id="time type by a blank"),
        pytest.param({"performer": PerformerId("SE2321000016-P02")}, id="performer"),
        pytest.param({"performer": None}, id="no performer"),
        pytest.param({"resource_id": ResourceId("R4")}, id="resource"),
        pytest.param({"resource_id": ResourceId("r3")}, id="resource by case"),
        pytest.param({"resource_id": None}, id="no resource"),
        pytest.param({"care_type_id": CareTypeId("V2")}, id="care type"),
        pytest.param({"care_type_id": None}, id="no care type"),
        pytest.param(
            {"resource_id": ResourceId("V1"), "care_type_id": CareTypeId("R3")},
            id="resource and care type exchanged",
        ),
        pytest.param(
            {"resource_id": ResourceId("R3V1"), "care_type_id": None},
            id="resource and care type run together",
        ),
    ],
)
def test_schedules_that_differ_have_different_tokens(
    change: dict[str, str | None],
) -> None:
    """A schedule's token contains everything that identifies it at its source."""
    other = dataclasses.replace(SCHEDULE, **change)  # type: ignore[arg-type] # a table

    assert other.token != SCHEDULE.token


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"time_type_name": "Nytt namn"}, id="time type"),
        pytest.param({"performer_name": None}, id="performer"),
        pytest.param({"resource_name": "Rum nummer 3"}, id="resource"),
        pytest.param({"care_type_name": "Annat"}, id="care type"),
    ],
)
def test_token_is_the_same_under_another_name(change: dict[str, str | None]) -> None:
    """A name is only shown: a change of it changes no token."""
    other = dataclasses.replace(SCHEDULE, **change)  # type: ignore[arg-type] # a table

    assert other.token == SCHEDULE.token


@settings(max_examples=examples(100), deadline=None)
@given(_SCHEDULES, _SCHEDULES)
def test_any_two_schedules_have_different_tokens(
    one: Schedule, other: Schedule
) -> None:
    """Two schedules share a token only when the same things identify them."""

    def identity(schedule: Schedule) -> tuple[str, ...]:
        return (
            schedule.unit,
            schedule.time_type_id,
            schedule.performer or "",
            schedule.resource_id or "",
            schedule.care_type_id or "",
        )

    assert (one.token == other.token) == (identity(one) == identity(other))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(timedelta(seconds=1), timedelta(), id="a later start"),
        pytest.param(timedelta(), timedelta(seconds=1), id="a later end"),
        pytest.param(timedelta(hours=1), timedelta(hours=1), id="an hour later"),
    ],
)
def test_timeslots_at_other_times_have_different_tokens(
    start: timedelta, end: timedelta
) -> None:
    """Start and end are in the token to the second."""
    other = dataclasses.replace(
        TIMESLOT, start=TIMESLOT.start + start, end=TIMESLOT.end + end
    )

    assert other.token != TIMESLOT.token


def test_token_of_an_instant_is_the_same_in_any_zone() -> None:
    """An offset is a way of writing: the token is of the instant."""
    other = dataclasses.replace(
        TIMESLOT,
        start=datetime.fromisoformat("2026-10-24T08:30:00+02:00"),
        end=datetime.fromisoformat("2026-10-24T03:00:00-04:00"),
    )

    assert other.token == TIMESLOT.token


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param("1969-12-31T23:59:59", "1970-01-01T00:30:00", id="before 1970"),
        pytest.param("1900-01-01T08:00:00", "1900-01-01T09:00:00", id="in 1900"),
        pytest.param("2026-01-01T08:00:00", "2026-01-01T07:00:00", id="a length below"),
        pytest.param("2026-01-01T08:00:00", "2027-06-01T08:00:00", id="17 months"),
        pytest.param("9999-12-31T22:00:00", "9999-12-31T23:00:00", id="after 9999"),
    ],
)
def test_timeslot_out_of_range_has_no_token(start: str, end: str) -> None:
    """A timeslot that no contract can express gets no token, at once."""
    timeslot = Timeslot(
        schedule=SCHEDULE,
        start=datetime.fromisoformat(start).replace(tzinfo=UTC),
        end=datetime.fromisoformat(end).replace(tzinfo=UTC),
    )

    with pytest.raises(ValueError, match="its time is out of range"):
        _ = timeslot.token


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("x", id="a letter"),
        pytest.param(TOKEN[:-4], id="no length"),
        pytest.param(TOKEN[:-12], id="a schedule's token"),
        pytest.param(TOKEN[:-21], id="a time type's token"),
        pytest.param(TOKEN.lower(), id="lower case"),
        pytest.param(TOKEN.upper(), id="upper case"),
        pytest.param(f" {TOKEN}", id="a blank before"),
        pytest.param(f"{TOKEN}\n", id="a line break after"),
        pytest.param(f"{TOKEN}.1", id="one part more"),
        pytest.param(TOKEN.replace(".", "-"), id="hyphens for full stops"),
        pytest.param(TOKEN.replace("inlc3bnu", "inlc3bn"), id="a short hash"),
        pytest.param(TOKEN.replace("inlc3bnu", "inlc3bnw"), id="a letter beyond v"),
        pytest.param(TOKEN.replace("1ldok38", "01ldok38"), id="a leading zero"),
        pytest.param(TOKEN.replace(".1o8", ".01o8"), id="a leading zero in the length"),
        pytest.param(TOKEN.replace(".1o8", ".100000"), id="a length above 388 days"),
        pytest.param(TOKEN.replace("1ldok38", "vvvvvvvv"), id="the year 36812"),
        pytest.param(TOKEN.replace("1ldok38", "-1ldok3"), id="a sign"),
        pytest.param(TOKEN.replace("SE2321000016-A01", ""), id="no unit"),
        pytest.param(TOKEN.replace("SE", "-SE"), id="a unit that begins with a hyphen"),
        pytest.param(TOKEN.replace("SE", "S/"), id="a path for a unit"),
        pytest.param(TOKEN.replace("SE", "S\u00c9"), id="an accent in the unit"),
        pytest.param("A" * 32 + TOKEN[16:], id="a unit that is too long"),
        pytest.param("f1b0a5c6-7d0c-4c5e-9d55-3a1f7c9f9e2b", id="a UUID"),
        pytest.param("A" * 100_000, id="a hundred thousand letters"),
        pytest.param("A." * 50_000, id="fifty thousand parts"),
    ],
)
def test_text_that_is_no_token_is_refused(text: str) -> None:
    """What is no token of a timeslot is refused."""
    with pytest.raises(ValueError, match="not a timeslot's token"):
        TimeslotToken.parse(text)


@settings(max_examples=examples(200), deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    """No text raises anything but ValueError."""
    with pytest.raises(ValueError, match="not a timeslot's token"):
        TimeslotToken.parse(text)
