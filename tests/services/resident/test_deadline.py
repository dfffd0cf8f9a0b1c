"""
The deadline of a resident's list: what answers in time is shown, the rest is named.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic

import pytest
from builders import NORR, PREFIX, booked, number, source, unit
from doubles import AnsweringAdapter

from fhir_gateway.model.booking import BookedTimes
from fhir_gateway.model.errors import Unavailable
from fhir_gateway.model.ids import BookingId, HsaId, LogicalAddress, SourceName
from fhir_gateway.model.scheduling import GetSubjectOfCareSchedule
from fhir_gateway.model.source import SourceProblem
from fhir_gateway.services.resident.call_threads import CallThreads
from fhir_gateway.stores.journal import BookingRecord
from services.conftest import TIMEOUT_S, MakeWireless, Wireless

UNITS = [HsaId(f"{PREFIX}U{place:03}") for place in range(100)]
SOON = timedelta(seconds=1)
# A machine under load is late; a list that waits for a hanging unit never ends.
MUCH_LATER_S = 8.0


@dataclass
class HangingAdapter(AnsweringAdapter):
    """A source of which some units answer only when they may."""

    hanging: set[str] = field(default_factory=set)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def get_subject_of_care_schedule(
        self, query: GetSubjectOfCareSchedule, *, timeout: float
    ) -> BookedTimes:
        """Return one unit's part of the book."""
        if query.address in self.hanging:
            assert self.may_answer.wait(TIMEOUT_S * 3)
        answer = super().get_subject_of_care_schedule(query, timeout=timeout)
        return replace(
            answer,
            bookings=tuple(
                each for each in answer.bookings if each.unit == query.address
            ),
        )


@pytest.fixture(name="adapter")
def _adapter() -> Iterator[HangingAdapter]:
    adapter = HangingAdapter()
    yield adapter
    adapter.may_answer.set()


@pytest.fixture(name="hundred")
def _hundred(make_wireless: MakeWireless, adapter: HangingAdapter) -> Wireless:
    """Return a desk that knows a booking of resident 0 at each of a hundred units."""
    wireless = make_wireless(
        adapter,
        sources=(source(units=tuple(unit(each) for each in UNITS)),),
    )
    for place, hsa_id in enumerate(UNITS):
        known(wireless, hsa_id, f"B-{place}")
    return wireless


def known(wireless: Wireless, hsa_id: HsaId, booking_id: str) -> None:
    """Let the source's book and the journal have a booking at a unit."""
    wanted = wireless.coming()
    wanted = replace(wanted, schedule=replace(wanted.schedule, unit=hsa_id))
    booking = booked(wanted, booking_id=booking_id, subject_of_care=number(0))
    wireless.adapter.book[BookingId(booking_id)] = booking
    wireless.desk.journal.reports.adopt(
        source=NORR, booking=booking, timeslot=wanted, number=number(0)
    )


def test_of_a_hundred_units_the_ten_that_hang_are_named(
    hundred: Wireless, adapter: HangingAdapter
) -> None:
    """Within the deadline the other ninety are confirmed; each silent one is named."""
    before = {
        each.timeslot.schedule.unit: each.confirmed_at
        for each in hundred.desk.journal.lookups.list_of_resident(number(0))
    }
    adapter.hanging = set(UNITS[::10])
    began = monotonic()

    times = hundred.desk.residents.list_of(number(0), within=SOON)

    assert monotonic() - began < MUCH_LATER_S
    assert len(times.bookings) == len(UNITS)
    assert {
        each.timeslot.schedule.unit
        for each in times.bookings
        if each.confirmed_at == before[each.timeslot.schedule.unit]
    } == adapter.hanging
    assert {
        each.detail
        for each in times.outcomes
        if each.problem is SourceProblem.UNAVAILABLE
    } == {
        f"Mottagning {each[-3:]} (Region Norr) did not answer within 1 s; its bookings"
        f" may be missing or out of date: contact Mottagning {each[-3:]}."
        for each in adapter.hanging
    }


def test_a_late_answer_still_confirms_a_booking(
    make_wireless: MakeWireless, adapter: HangingAdapter
) -> None:
    """What a unit answers after the deadline is recorded, and adopted where new."""
    wireless = make_wireless(adapter, sources=(source(units=(unit(UNITS[0]),)),))
    known(wireless, UNITS[0], "B-0")
    other = wireless.coming(30)
    other = replace(other, schedule=replace(other.schedule, unit=UNITS[0]))
    adapter.book["B-1"] = booked(other, booking_id="B-1", subject_of_care=number(0))
    adapter.hanging = {UNITS[0]}

    times = wireless.desk.residents.list_of(number(0), within=timedelta())
    adapter.may_answer.set()

    assert [each.booking_id for each in times.bookings] == ["B-0"]
    eventually(lambda: len(records(wireless)) == 2)
    known_at = times.bookings[0].confirmed_at
    eventually(lambda: records(wireless)[0].confirmed_at != known_at)


def records(wireless: Wireless) -> tuple[BookingRecord, ...]:
    """Return resident 0's bookings, as the journal has them."""
    return wireless.desk.journal.lookups.list_of_resident(number(0))


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, and fail if it never is."""
    deadline = monotonic() + TIMEOUT_S
    while not is_so():
        assert monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_list_that_may_wait_for_nothing_shows_what_is_known(
    hundred: Wireless, adapter: HangingAdapter
) -> None:
    """Without any time, the list has what the journal knows, and what is missing."""
    adapter.hanging = set(UNITS)

    times = hundred.desk.residents.list_of(number(0), within=timedelta())

    assert len(times.bookings) == len(UNITS)
    assert times.is_unknown
    assert {each.problem for each in times.outcomes} == {
        SourceProblem.UNAVAILABLE,
        SourceProblem.NOT_ASKED,
    }


def test_a_client_cannot_lengthen_the_deadline(
    make_wireless: MakeWireless, adapter: HangingAdapter
) -> None:
    """A longer wait than the setting's changes nothing."""
    wireless = make_wireless(
        adapter, sources=(source(schedule_address=LogicalAddress(UNITS[0])),)
    )
    adapter.hanging = {UNITS[0]}

    times = wireless.desk.residents.list_of(
        number(0), within=timedelta(seconds=TIMEOUT_S * 2)
    )

    assert [each.detail for each in times.outcomes] == [
        (
            "Region Norr did not answer within 5 s; its bookings may be missing or out"
            " of date: contact the unit where you expect one."
        )
    ]


def test_a_unit_that_hangs_leaves_threads_for_the_others() -> None:
    """Many calls about one unit keep no call about another unit waiting."""
    threads = CallThreads(most=4, most_about_one=2)
    may_end = threading.Event()
    hanging = [threads.submit(NORR, may_end.wait, about="hangs") for _ in range(10)]

    answered = [threads.submit(NORR, lambda: 1, about="answers") for _ in range(10)]

    assert [each.result(TIMEOUT_S) for each in answered] == [1] * 10
    may_end.set()
    assert all(each.result(TIMEOUT_S) for each in hanging)


def test_no_source_gets_more_calls_at_once_than_it_may() -> None:
    """Of twenty calls to one source three are under way; another source is asked."""
    threads = CallThreads(most=3)
    may_end = threading.Event()
    began = threading.Semaphore(0)

    def call() -> bool:
        began.release()
        return may_end.wait(TIMEOUT_S)

    calls = [threads.submit(NORR, call) for _ in range(20)]
    other = threads.submit(SourceName("syd"), lambda: 1)

    assert other.result(TIMEOUT_S) == 1
    assert all(began.acquire(timeout=TIMEOUT_S) for _ in range(3))
    assert not began.acquire(timeout=0.05)
    may_end.set()
    assert all(each.result(TIMEOUT_S) for each in calls)


def test_a_call_that_waits_can_be_cancelled() -> None:
    """A cancelled call is never made, and an error reaches its caller."""
    threads = CallThreads(most=1)
    may_end = threading.Event()
    made = []
    first = threads.submit(NORR, may_end.wait)
    second = threads.submit(NORR, lambda: made.append(2))
    third = threads.submit(NORR, fail)

    assert second.cancel()
    may_end.set()

    assert first.result(TIMEOUT_S)
    assert isinstance(third.exception(TIMEOUT_S), Unavailable)
    assert made == []


def fail() -> None:
    """Raise what a source that is away raises."""
    raise Unavailable("The source could not be reached.")


def test_closing_cancels_what_waits() -> None:
    """After the process has begun to stop, no waiting call is made."""
    threads = CallThreads(most=1)
    may_end = threading.Event()
    running = threads.submit(NORR, may_end.wait)
    waiting = threads.submit(NORR, may_end.wait)

    threads.close()

    assert threads.is_closed
    assert waiting.cancelled()
    may_end.set()
    assert running.result(TIMEOUT_S)
