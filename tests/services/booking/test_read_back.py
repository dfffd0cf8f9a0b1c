"""
When a booking is of a time: what two answers of a source say of the same thing.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from builders import NORR, SOUTHERN_UNIT, UNIT, booked, number, timeslot
from doubles import AnsweringAdapter
from granting import demo_grant
from structlog.testing import capture_logs

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import BookedTimes, BookingStatus, KeptPart
from fhir_gateway.model.errors import GatewayError, WriteUnconfirmed
from fhir_gateway.model.ids import LogicalAddress, PerformerId, ResourceId, TimeTypeId
from fhir_gateway.model.scheduling import GetSubjectOfCareSchedule
from fhir_gateway.services.booking.read_back import Sighting, is_the_same_time
from services.conftest import MakeWireless


@pytest.mark.parametrize(
    ("ours", "theirs", "is_same"),
    [
        pytest.param("SE1-P1", "SE1-P1", True, id="the same"),
        pytest.param("se1-p1", "SE1-P1", True, id="in another case"),
        pytest.param("SE1-P1", "SE1-P2", False, id="another HSA-id"),
        pytest.param("1001", "1001", True, id="the same number"),
        pytest.param("1001", " 1001 ", True, id="with blanks around"),
        pytest.param("1001", "1002", False, id="another number"),
        pytest.param("1001", "SE1-P1", True, id="not to be compared"),
        pytest.param(None, "1001", True, id="not said of the time"),
        pytest.param("SE1-P1", None, True, id="not said of the booking"),
    ],
)
def test_performers_are_compared_where_they_can_be(
    ours: str | None,
    theirs: str | None,
    is_same: bool,  # noqa: FBT001 - a table of values
) -> None:
    """HSA-ids compare without regard to case, other texts without blanks around."""
    time = timeslot(24)
    time = replace(
        time, schedule=replace(time.schedule, performer=ours and PerformerId(ours))
    )
    booking = replace(booked(time), performer=theirs and PerformerId(theirs))

    assert is_the_same_time(booking, time) is is_same


@pytest.mark.parametrize(
    ("listed", "is_same"),
    [
        pytest.param(" TT1 ", True, id="with blanks around"),
        pytest.param("TT2", False, id="another"),
    ],
)
def test_blanks_around_identifiers_are_no_difference(
    listed: str,
    is_same: bool,  # noqa: FBT001 - a table of values
) -> None:
    """A list that pads the ids of time types and resources has the same booking."""
    time = timeslot(24)
    time = replace(
        time,
        schedule=replace(
            time.schedule, time_type_id=TimeTypeId("TT1"), resource_id=ResourceId("TT1")
        ),
    )
    booking = replace(
        booked(time),
        time_type_id=TimeTypeId(listed),
        resource_id=ResourceId(listed),
    )

    assert is_the_same_time(booking, time) is is_same


@dataclass
class LosingAdapter(AnsweringAdapter):
    """A source that lists bookings that cannot be read."""

    lost_at: frozenset[datetime | None] = frozenset()

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book, and what is missing of it."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(
            answer,
            unreadable=("timeslotDetail/performer: has elements inside",)
            * len(self.lost_at),
            lost_at=self.lost_at,
        )


@pytest.mark.parametrize(
    ("hours", "is_settled"),
    [
        pytest.param([72], True, id="another day"),
        pytest.param([23, 25], True, id="just before and after"),
        pytest.param([24], False, id="the same start"),
        pytest.param([72, 24], False, id="the same start too"),
        pytest.param([None], False, id="a start that cannot be read"),
    ],
)
def test_what_begins_at_another_time_does_not_hinder_a_write(
    make_wireless: MakeWireless,
    hours: list[float | None],
    is_settled: bool,  # noqa: FBT001 - a table of values
) -> None:
    """An unreadable booking hides a write only where it may begin at its time."""
    wireless = make_wireless(LosingAdapter())
    wanted = wireless.coming(24)
    wireless.lists(wanted)
    wireless.adapter.errors = {
        scheduling.MAKE_BOOKING: WriteUnconfirmed("No answer.", source=NORR)
    }
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.lost_at = frozenset(
        None if each is None else wireless.coming(each).start for each in hours
    )
    record = wireless.desk.journal.lookups.get(made.id)

    try:
        sighting = wireless.desk.read_back.look(record, wanted)
    except GatewayError:
        sighting = None

    assert sighting == (Sighting(matches=(), candidates=()) if is_settled else None)


def test_an_old_answer_settles_nothing(make_wireless: MakeWireless) -> None:
    """A list that an aggregating service had kept may be older than the write."""
    wireless = make_wireless(KeptAdapter())
    wanted = wireless.coming(24)
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    record = wireless.desk.journal.lookups.get(made.id)

    with pytest.raises(GatewayError, match="from a cache"):
        wireless.desk.read_back.look(record, wanted)


@dataclass
class KeptAdapter(AnsweringAdapter):
    """A source that answers from a cache."""

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book, as something that was kept."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(answer, kept=(KeptPart(unit=query.address, since=None),))


@dataclass
class AggregatedAdapter(AnsweringAdapter):
    """A source behind an aggregating service, which names the units that answered."""

    answered: frozenset[LogicalAddress] | None = None

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return the book, and the units that answered."""
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(answer, answered=self.answered)


@pytest.mark.parametrize(
    ("answered", "status"),
    [
        pytest.param(None, BookingStatus.CANCELLED, id="no aggregating service"),
        pytest.param(
            frozenset({LogicalAddress(UNIT.lower())}),
            BookingStatus.CANCELLED,
            id="the unit",
        ),
        pytest.param(frozenset(), BookingStatus.BOOKED, id="no unit"),
        pytest.param(
            frozenset({LogicalAddress("SE2321000016-Z99")}),
            BookingStatus.BOOKED,
            id="another unit",
        ),
    ],
)
def test_absence_is_believed_of_a_unit_that_answered(
    make_wireless: MakeWireless,
    answered: frozenset[LogicalAddress] | None,
    status: BookingStatus,
) -> None:
    """An aggregating service that does not name a unit has not asked it."""
    wireless = make_wireless(AggregatedAdapter(answered=answered))
    wanted = wireless.coming(24)
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.book.clear()

    assert wireless.desk.booking.read(made.id).status is status


@pytest.mark.parametrize(
    ("answered", "is_settled"),
    [
        pytest.param(None, True, id="no aggregating service"),
        pytest.param(frozenset({LogicalAddress(UNIT)}), True, id="the unit"),
        pytest.param(frozenset(), False, id="no unit"),
    ],
)
def test_a_write_is_settled_by_a_unit_that_answered(
    make_wireless: MakeWireless,
    answered: frozenset[LogicalAddress] | None,
    is_settled: bool,  # noqa: FBT001 - a table of values
) -> None:
    """A fault beside an empty list of an unnamed unit leaves a write unknown."""
    wireless = make_wireless(AggregatedAdapter(answered=answered))
    wanted = wireless.coming(24)
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.book.clear()
    record = wireless.desk.journal.lookups.get(made.id)

    try:
        sighting = wireless.desk.read_back.look(record, wanted)
    except GatewayError:
        sighting = None

    assert sighting == (Sighting(matches=(), candidates=()) if is_settled else None)


def test_a_residents_list_names_a_unit_that_is_not_in_the_answer(
    make_wireless: MakeWireless,
) -> None:
    """The one unit that was asked did not answer: its bookings may be missing."""
    wireless = make_wireless(AggregatedAdapter(answered=frozenset()))
    wanted = wireless.coming(24)
    wireless.lists(wanted)
    wireless.desk.book(wanted, 0)
    wireless.adapter.book.clear()

    times = wireless.desk.residents.list_of(number(0))

    assert [each.status for each in times.bookings] == [BookingStatus.BOOKED]
    assert [each.detail for each in times.outcomes[:1]] == [
        (
            "Mottagning A01 is missing from the answer of Region Norr; its bookings may"
            " be missing or out of date: contact Mottagning A01."
        )
    ]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"subject_of_care": number(9)}, id="another person's"),
        pytest.param({"unit": SOUTHERN_UNIT}, id="at another source's unit"),
    ],
)
def test_details_of_anothers_booking_are_not_believed(
    make_wireless: MakeWireless, changed: dict[str, Any]
) -> None:
    """What an id leads to is checked: it must be this resident's, at this source."""
    wireless = make_wireless()
    wanted = wireless.coming(24)
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.book["B-1"] = replace(wireless.adapter.book["B-1"], **changed)

    with (
        capture_logs() as logs,
        pytest.raises(GatewayError, match="The source answered"),
    ):
        wireless.desk.access.booking_details(
            NORR, wanted.schedule.unit, made.booking_id, demo_grant(number(0)).asker
        )

    assert [each["log_level"] for each in logs] == ["error"]
    assert number(9).reveal() not in str(logs)
