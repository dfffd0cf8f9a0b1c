"""
What one resident heard of a time changes nobody else's view before the agent has asked.
"""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from builders import NORR, UNIT, VISIT, block, number, timeslot
from doubles import LeavingStore, MemoryRefreshHints
from granting import demo_grant
from structlog.testing import capture_logs

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import BookingStatus, ResultCode, WriteResult
from fhir_gateway.model.errors import MalformedAnswer, SourceFault, TimeslotTaken
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.scheduling import GetAvailableTimeslots, MakeBooking
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.booking.holding import HoldRequest
from fhir_gateway.services.source.recheck import Recheck
from services.conftest import Wireless

WRONG = {NORR: {(UNIT, VISIT)}}


def hold(wireless: Wireless, of: Timeslot, who: int = 0) -> None:
    """Hold a time."""
    token = TimeslotToken.parse(of.token)
    wireless.desk.booking.hold(
        HoldRequest(token=token, number=number(who), grant=demo_grant(number(who)))
    )


def looks(wireless: Wireless) -> int:
    """Return how often the source was asked for free times."""
    return sum(
        isinstance(each, GetAvailableTimeslots) for each in wireless.adapter.calls
    )


@pytest.mark.parametrize("way", ["book", "hold"])
def test_a_time_that_one_resident_is_not_offered(wireless: Wireless, way: str) -> None:
    """A look that does not find it lets the refresh ask for its block again."""
    gone, stays = wireless.coming(24), wireless.coming(25)
    wireless.lists(stays)

    with pytest.raises(TimeslotTaken):
        hold(wireless, gone) if way == "hold" else wireless.desk.book(gone, 0)

    assert wireless.desk.rechecks.wanted == WRONG


def test_a_time_that_was_refused_as_gone(wireless: Wireless) -> None:
    """So does a no for a time that the resident is not offered any more."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    wireless.adapter.result = WriteResult(code=ResultCode.ERROR, text="Upptagen.")

    def go(interaction: Interaction) -> None:
        if interaction == scheduling.MAKE_BOOKING:
            wireless.lists()

    wireless.adapter.before = go
    with pytest.raises(TimeslotTaken):
        wireless.desk.book(wanted, 0)

    assert wireless.desk.rechecks.wanted == WRONG


def test_a_time_that_is_not_for_this_booking(wireless: Wireless) -> None:
    """What a region does not offer to one booking says nothing of what it offers."""
    wanted, other = wireless.coming(24), wireless.coming(30)
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.lists()

    with pytest.raises(TimeslotTaken):
        wireless.desk.move(made.id, other)

    assert wireless.desk.rechecks.wanted == {}


def test_a_freed_time_that_is_offered_again(wireless: Wireless) -> None:
    """After a cancellation the time is looked for, and its block asked for again."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.is_offered_again is True
    assert wireless.desk.rechecks.wanted == WRONG


@pytest.mark.parametrize(
    ("way", "write"),
    [
        ("cancel", scheduling.CANCEL_BOOKING),
        ("move", scheduling.UPDATE_BOOKING),
    ],
)
def test_a_time_that_was_freed_after_the_client_left(
    wireless: Wireless, way: str, write: Interaction
) -> None:
    """A client that does not wait changes nothing: the freed time is looked for."""
    wanted, other = wireless.coming(24), wireless.coming(30)
    wireless.lists(wanted, other)
    made = wireless.desk.book(wanted, 0).booking
    answer = threading.Event()

    def hesitate(interaction: Interaction) -> None:
        if interaction == write:
            answer.wait(30)

    wireless.adapter.before = hesitate
    changed = (
        wireless.desk.booking.cancel(made.id, waits=timedelta())
        if way == "cancel"
        else wireless.desk.move(made.id, other, waits=timedelta())
    )
    before = dict(wireless.desk.rechecks.wanted)
    writing = [each for each in threading.enumerate() if each.name == "write"]
    answer.set()
    for each in writing:
        each.join(30)

    assert changed.status is BookingStatus.PENDING
    assert (before, wireless.desk.rechecks.wanted) == ({}, WRONG)


def test_a_freed_time_that_is_not_offered_again(wireless: Wireless) -> None:
    """Its absence is reported, and its block asked for again as well."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.lists()

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.is_offered_again is False
    assert wireless.desk.rechecks.wanted == WRONG


def test_a_time_that_may_be_among_what_cannot_be_read_is_not_called_gone(
    wireless: Wireless,
) -> None:
    """The day's list is not whole, so nobody knows; nothing is sent."""
    wireless.adapter.rejected = {GetAvailableTimeslots: ("endTimeExclusive: bad",)}

    with pytest.raises(MalformedAnswer):
        wireless.desk.book(wireless.coming(), 0)

    assert wireless.adapter.asked(MakeBooking) == []
    assert wireless.desk.rechecks.wanted == WRONG


def test_a_freed_time_that_may_be_among_what_cannot_be_read(
    wireless: Wireless,
) -> None:
    """Its absence from what could be read says nothing."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.lists()
    wireless.adapter.rejected = {GetAvailableTimeslots: ("endTimeExclusive: bad",)}

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.is_offered_again is None


def test_a_freed_time_that_cannot_be_looked_for(wireless: Wireless) -> None:
    """A source that does not answer says nothing; the cancellation stands."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.errors = {
        scheduling.GET_AVAILABLE_TIMESLOTS: SourceFault("Broken.", source=NORR)
    }

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.is_offered_again is None
    assert wireless.desk.rechecks.wanted == {}


def test_a_store_that_is_away_does_not_stop_a_booking() -> None:
    """The answer to the client does not depend on Redis."""
    store = LeavingStore(MemoryRefreshHints())  # type: ignore[arg-type] - it has every method, by __getattr__
    store.away = {"add"}
    with capture_logs() as logs:
        Recheck(store).ask(  # type: ignore[arg-type] - likewise
            NORR, TimeslotToken.parse(block().schedules[0].token + ".1.1"), VISIT
        )

    assert [each["event"] for each in logs] == ["recheck not asked for"]


def test_times_that_a_source_did_not_list_are_looked_up_in_its_pace(
    wireless: Wireless,
) -> None:
    """Made-up times cost a source no more calls than the refresh may make."""
    made_up = [timeslot(24 + each, after=wireless.desk.clock()) for each in range(50)]
    wireless.desk.unlisted = {each.token for each in made_up}
    pace = wireless.sources[NORR].budget.calls_per_second

    said = []
    for each in made_up:
        with pytest.raises(TimeslotTaken) as caught:
            hold(wireless, each)
        said.append(caught.value.message)

    assert 10 * pace <= looks(wireless) <= 12 * pace
    assert said[0] == "The slot is no longer free; search again for another one."
    assert said[-1] == (
        "The region did not list the slot when it was last asked; search again for"
        " another one."
    )


def test_a_time_that_is_listed_by_now_is_held(wireless: Wireless) -> None:
    """What the source did not list a short while ago is looked up, and found."""
    wanted = wireless.coming()
    wireless.desk.unlisted = {wanted.token}
    wireless.lists(wanted)

    hold(wireless, wanted)

    assert wireless.desk.is_held(wanted)


def test_made_up_times_keep_nobody_from_a_listed_one(
    wireless: Wireless, somebody: Callable[[], int]
) -> None:
    """A time that the source listed is looked up however many were made up."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made_up = [wireless.coming(100 + each) for each in range(50)]
    wireless.desk.unlisted = {each.token for each in made_up}
    for each in made_up:
        with pytest.raises(TimeslotTaken):
            hold(wireless, each)

    hold(wireless, wanted, somebody())

    assert wireless.desk.is_held(wanted)
