"""
`time-of-day`: the minutes of a day that fit, or refused.
"""

import operator
from collections.abc import Callable
from contextlib import suppress
from datetime import time
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from fhir_gateway.fhir.time_of_day import TimeOfDayParameter
from fhir_gateway.model.weekly_hours import MINUTES_OF_A_DAY

PREFIXES: dict[str, Callable[[time, time], bool]] = {
    "": operator.eq,
    "eq": operator.eq,
    "ne": operator.ne,
    "ge": operator.ge,
    "gt": operator.gt,
    "sa": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
    "eb": operator.lt,
}
DAY = [time(hour, minute) for hour in range(24) for minute in range(60)]
VALUES = st.tuples(st.sampled_from(list(PREFIXES)), st.sampled_from(DAY))


def minutes(*texts: str) -> set[int]:
    """Return which minutes of a day values of the parameter mean."""
    bits: int = TimeOfDayParameter().deserialize(list(texts))
    assert bits < 1 << MINUTES_OF_A_DAY
    return {minute for minute in range(MINUTES_OF_A_DAY) if bits >> minute & 1}


def text_of(value: tuple[str, time]) -> str:
    """Return a value as a client writes it."""
    return f"{value[0]}{value[1]:%H:%M}"


@given(st.lists(st.lists(VALUES, min_size=1, max_size=3), min_size=1, max_size=3))
def test_values_compare_as_times_do(groups: list[list[tuple[str, time]]]) -> None:
    """A minute fits when in each group one value fits, compared as times."""
    found = minutes(*(",".join(map(text_of, group)) for group in groups))

    assert found == {
        number
        for number, shown in enumerate(DAY)
        if all(
            any(PREFIXES[prefix](shown, value) for prefix, value in group)
            for group in groups
        )
    }


def test_a_range_may_cross_midnight() -> None:
    """With a comma, a night is from the evening on or until the morning."""
    night = minutes("ge22:00,lt06:00")

    assert night == reduce(operator.or_, (minutes("ge22:00"), minutes("lt06:00")))
    assert len(night) == 8 * 60


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("24:00", id="hour 24"),
        pytest.param("08:60", id="minute 60"),
        pytest.param("8:00", id="one digit"),
        pytest.param("08", id="an hour alone"),
        pytest.param("08:00:00", id="seconds"),
        pytest.param("08:00Z", id="an offset"),
        pytest.param("08:00+01:00", id="another offset"),
        pytest.param("GE08:00", id="a prefix in capitals"),
        pytest.param("ge 08:00", id="a blank"),
        pytest.param("ge", id="a prefix alone"),
        pytest.param("08:00\n", id="a line end"),
        pytest.param("\u0660\u0668:00", id="digits of another script"),
        pytest.param("morning", id="a word"),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """What is no minute of a day is refused with what was expected."""
    with pytest.raises(ValidationError) as caught:
        minutes(text)

    assert caught.value.messages == [
        "expected a time from 00:00 to 23:59, with or without a prefix, as ge08:00"
    ]


@pytest.mark.parametrize("prefix", ["ap", "xx"])
def test_other_prefixes_are_refused(prefix: str) -> None:
    """A prefix that means no set of minutes is refused."""
    with pytest.raises(ValidationError) as caught:
        minutes(f"{prefix}08:00")

    assert caught.value.messages == [
        "expected one of the prefixes eq, ne, ge, gt, le, lt, sa, eb, or none"
    ]


@pytest.mark.parametrize("text", ["", "08:00,", ",08:00", "08:00,,09:00"])
def test_an_empty_value_is_refused(text: str) -> None:
    """Nothing between commas would mean any time, so it means none."""
    with pytest.raises(ValidationError) as caught:
        minutes(text)

    assert caught.value.messages == ["has an empty value"]


@given(st.lists(st.text("0123456789:,geltnsab T", max_size=20), min_size=1, max_size=3))
def test_every_input_is_minutes_or_refused(texts: list[str]) -> None:
    """Any text gives minutes of a day, or is refused."""
    with suppress(ValidationError):
        assert minutes(*texts) <= set(range(24 * 60))
