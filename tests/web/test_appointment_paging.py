"""
Pages of appointments stay true while appointments come, go and move.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.model.booking import (
    BookingPermissions,
    BookingStatus,
    ManagedBooking,
)
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import Schedule, Timeslot
from fhir_gateway.web.appointment_query import (
    AppointmentQuery,
    Place,
    page_of,
    sort_key,
)

_FIRST: Final = datetime(2026, 12, 1, 8, tzinfo=UTC)
_NOW: Final = epoch_seconds(_FIRST + timedelta(hours=3))
_SCHEDULE: Final = Schedule(
    unit=HsaId("SE2321009901-1001"),
    time_type_id=TimeTypeId("TT1"),
    time_type_name="Besök",
)
_ID: Final = st.integers(0, 19)
_HOUR: Final = st.integers(0, 5)
_CHANGES: Final = st.lists(
    st.dictionaries(_ID, st.none() | _HOUR, max_size=4), max_size=12
)


def booking(number: int, hour: int) -> ManagedBooking:
    """Return a booking that begins some hours after the first."""
    start = _FIRST + timedelta(hours=hour)
    return ManagedBooking(
        id=f"id-{number:02}",
        version=1,
        status=BookingStatus.BOOKED,
        source=SourceName("norr"),
        timeslot=Timeslot(
            schedule=_SCHEDULE, start=start, end=start + timedelta(minutes=15)
        ),
        booking_id=None,
        number=PersonalIdentityNumber("191212121212"),
        permissions=BookingPermissions(),
        is_invitation=False,
        created_at=_FIRST,
        updated_at=_FIRST,
        confirmed_at=None,
    )


@given(
    there=st.dictionaries(_ID, _HOUR),
    changes=_CHANGES,
    count=st.integers(1, 4),
    sort=st.sampled_from([None, "date", "-date"]),
)
def test_pages_have_what_was_there_throughout_once(
    there: dict[int, int],
    changes: list[dict[int, int | None]],
    count: int,
    sort: str | None,
) -> None:
    """
    No appointment that stays comes twice or not at all; a moved one may do either.
    """
    present, touched = dict(there), set[int]()
    query = AppointmentQuery(sort=sort, count=count)
    seen: list[str] = []
    waiting = list(changes)
    while True:
        listed = sorted(
            (booking(number, hour) for number, hour in present.items()),
            key=lambda each: sort_key(each, query, _NOW),
        )
        page, last = page_of([(each, {"id": each.id}) for each in listed], query, _NOW)
        assert len(page) <= count
        seen += [each["id"] for each in page]
        if last is None:
            break
        start = epoch_seconds(last.timeslot.start)
        place = Place(start, last.id, of_resident=True, moment=_NOW)
        query = replace(query, cursor=Place.parse(place.text))
        for number, hour in (waiting.pop(0) if waiting else {}).items():
            touched.add(number)
            if hour is None:
                present.pop(number, None)
            else:
                present[number] = hour
    stayed = [f"id-{number:02}" for number in there if number not in touched]
    assert [each for each in seen if each in stayed] == [
        each.id
        for each in sorted(
            (booking(number, hour) for number, hour in there.items()),
            key=lambda each: sort_key(each, query, _NOW),
        )
        if each.id in stayed
    ]


@pytest.mark.parametrize(
    ("sort", "hours"),
    [
        (None, [3, 4, 5, 2, 1, 0]),
        ("date", [0, 1, 2, 3, 4, 5]),
        ("-date", [5, 4, 3, 2, 1, 0]),
    ],
)
def test_what_is_ahead_is_first(sort: str | None, hours: list[int]) -> None:
    """Without `_sort` the next one is first, and past ones are last, the last first."""
    query = AppointmentQuery(sort=sort)

    listed = sorted(
        (booking(hour, hour) for hour in range(6)),
        key=lambda each: sort_key(each, query, _NOW),
    )

    assert [each.id for each in listed] == [f"id-{hour:02}" for hour in hours]
