"""
Months of the Swedish calendar.
"""

from datetime import UTC, date, datetime

import pytest

from fhir_gateway.model.month import Month


@pytest.mark.parametrize(
    ("instant", "month"),
    [
        (datetime(2026, 10, 31, 22, 59, tzinfo=UTC), Month(2026, 10)),
        (datetime(2026, 10, 31, 23, 0, tzinfo=UTC), Month(2026, 11)),
        (datetime(2026, 12, 31, 23, 0, tzinfo=UTC), Month(2027, 1)),
    ],
)
def test_a_month_begins_at_midnight_in_sweden(instant: datetime, month: Month) -> None:
    """An instant belongs to the month of its Swedish date."""
    assert Month.of(instant) == month
    assert month.start <= instant or month == Month(2026, 10)


def test_a_month_knows_its_edges() -> None:
    """A month has a start, an end, a last day, and neighbours."""
    february = Month(2028, 2)

    assert (str(february), february.last_day, february.plus(-2), february.plus(11)) == (
        "2028-02",
        date(2028, 2, 29),
        Month(2027, 12),
        Month(2029, 1),
    )
    assert february.end == february.plus(1).start


def test_months_are_listed_with_both_ends() -> None:
    """From one month to another there is each month between them."""
    assert list(Month(2026, 11).until(Month(2027, 1))) == [
        Month(2026, 11),
        Month(2026, 12),
        Month(2027, 1),
    ]
    assert list(Month(2026, 11).until(Month(2026, 10))) == []


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-13", "2026-00", "2026-1", "1999-01", "2026-11-01", "٢٠٢٦-11"],
)
def test_other_text_is_no_month(text: str) -> None:
    """Only a year and a month, like 2026-11, is a month."""
    with pytest.raises(ValueError, match="2026-11"):
        Month.parse(text)
