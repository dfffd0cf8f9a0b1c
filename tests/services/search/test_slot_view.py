"""
The view: follows the store, ages visibly, and never forgets what is still good.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import numpy as np
import pytest
import redis
from builders import (
    COVID,
    NORR,
    NOW,
    OTHER_UNIT,
    SOUTHERN_UNIT,
    SYD,
    UNIT,
    VISIT,
    block,
    catalogue,
    schedule,
    source,
    southern_source,
    timeslot,
)
from doubles import LeavingStore, MemorySlotStore, MovableClock
from structlog.testing import capture_logs

from fhir_gateway.model.ids import HsaId, ResourceId
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken, time_type_token
from fhir_gateway.services.search.slot_columns import schedule_rank
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import (
    RedisSlotStore,
    SourceStatus,
    StoreUnavailable,
)

HOUR = timedelta(hours=1)


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(name="store")
def _store() -> MemorySlotStore:
    return MemorySlotStore()


def view_of(store: Any, clock: MovableClock, *sources: Source) -> SlotView:
    """Return a view that has read the store once."""
    view = SlotView(sources or [source()], {}, store, dict, clock=clock)
    view.catch_up()
    return view


def starts(snapshot: Snapshot) -> list[float]:
    """Return the free times, as hours after NOW."""
    return [(start - NOW.timestamp()) / 3600 for start, *_ in rows(snapshot)]


def rows(snapshot: Snapshot) -> list[tuple[int, str, int, int]]:
    """Return start, schedule token, length and count of every free time, in order."""
    found = [
        (order, schedule, length, count)
        for columns in snapshot.segments.values()
        for order, schedule, length, count in zip(
            columns.order.tolist(),
            columns.schedule.tolist(),
            columns.length.tolist(),
            columns.count.tolist(),
            strict=True,
        )
    ]
    return [
        (order >> 32, snapshot.schedules.token(schedule), length, count)
        for order, schedule, length, count in sorted(found)
    ]


def test_a_new_view_has_nothing(store: MemorySlotStore, clock: MovableClock) -> None:
    """Before anything is stored there is a snapshot without free times."""
    snapshot = view_of(store, clock).snapshot

    assert starts(snapshot) == []
    assert snapshot.directory.silent == {NORR}


def test_blocks_are_applied_in_order(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """Times of several blocks stand by start, then by schedule."""
    second = schedule(OTHER_UNIT)
    store.put_block(block([timeslot(5), timeslot(3), timeslot(4)]))
    store.put_block(block([timeslot(4, of=second), timeslot(2, of=second)]))

    snapshot = view_of(store, clock).snapshot

    assert starts(snapshot) == [2, 3, 4, 4, 5]
    first, second_token = schedule().token, second.token
    ranked = sorted([first, second_token], key=schedule_rank)
    assert [row[1:] for row in rows(snapshot)] == [
        (token, 1800, 1) for token in (second_token, first, *ranked, first)
    ]


def test_schedules_are_found_by_all_that_names_them(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """By token, by their unit's time type and by their performer."""
    eva = HsaId("SE2321000016-P01")
    hers = schedule(performer=eva)
    room = schedule(resource_id=ResourceId("1"))
    store.put_block(block([timeslot(of=hers), timeslot(of=room)]))

    snapshot = view_of(store, clock).snapshot

    known = [snapshot.known(each.token) for each in (hers, room)]
    assert [each.schedule for each in known if each] == [hers, room]
    assert [each.offering for each in known if each] == [
        time_type_token(UNIT, VISIT)
    ] * 2
    assert snapshot.first_of(eva) == known[0]


def test_a_member_of_staff_is_known_by_the_schedule_at_the_owning_source(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """What norr's times call somebody of syd's staff is not what syd's call them."""
    bo = HsaId("SE2321000099-P01")
    of_norr = schedule(performer=bo, performer_name="Eva Ek")
    of_syd = schedule(SOUTHERN_UNIT, performer=bo, performer_name="Bo Al")
    syds = BlockKey(source=SYD, unit=SOUTHERN_UNIT, time_type_id=VISIT)
    store.put_block(block([timeslot(3, of=of_norr)]))
    store.put_block(block([timeslot(3, of=of_syd)], key=syds))

    snapshot = view_of(store, clock, source(), southern_source()).snapshot

    known = snapshot.first_of(bo)
    assert known is not None
    assert known.schedule == of_syd


def test_a_schedule_without_free_times_is_known(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """A schedule that a client knows can still be read when it has nothing free."""
    gone = schedule(resource_id=ResourceId("1"))
    store.put_block(block([timeslot()], earlier_schedules=[gone]))

    assert view_of(store, clock).snapshot.known(gone.token) is not None


def test_a_change_is_applied(store: MemorySlotStore, clock: MovableClock) -> None:
    """A replaced block replaces its times and leaves the others alone."""
    store.put_block(block([timeslot(3)]))
    store.put_block(block([timeslot(4, of=schedule(OTHER_UNIT))]))
    view = view_of(store, clock)
    store.put_block(block([timeslot(5)]))

    view.catch_up()

    assert starts(view.snapshot) == [4, 5]


def test_catalogues_and_statuses_are_applied(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """The directory and how each source fares follow the store."""
    view = view_of(store, clock)
    status = SourceStatus(
        source=NORR, last_answer_at=NOW, failing_since=None, last_error=None
    )
    store.put_catalogue(catalogue())
    store.put_status(status)

    view.catch_up()

    assert view.snapshot.directory.asked_units == {UNIT}
    assert view.snapshot.statuses == {NORR: status}


def test_a_snapshot_never_changes(store: MemorySlotStore, clock: MovableClock) -> None:
    """A search that has begun goes on with what it began with."""
    store.put_block(block([timeslot(3)]))
    view = view_of(store, clock)
    before = view.snapshot
    store.put_block(block([timeslot(5)]))
    view.catch_up()

    assert starts(before) == [3]
    assert view.snapshot is not before


def test_nothing_new_keeps_the_snapshot(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """Without a change no snapshot is built."""
    store.put_block(block())
    view = view_of(store, clock)
    before = view.snapshot

    view.catch_up()

    assert view.snapshot is before


def test_a_source_that_is_not_configured_is_left_out(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """Another gateway's blocks in the same store are nobody's here."""
    key = BlockKey(source=SYD, unit=SOUTHERN_UNIT, time_type_id=VISIT)
    store.put_block(block([timeslot(of=schedule(SOUTHERN_UNIT))], key=key))
    view = view_of(store, clock)
    store.put_block(block([timeslot(of=schedule(SOUTHERN_UNIT))], key=key))
    store.put_catalogue(catalogue({}, name="syd"))

    view.catch_up()

    assert starts(view.snapshot) == []


def test_an_old_block_is_not_offered(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """What a source said longer ago than offered_for is left out, and remembered."""
    store.put_block(block([timeslot(3)]))
    store.put_block(
        block(
            [timeslot(4, of=schedule(time_type=COVID))],
            answered_at=NOW + timedelta(minutes=1),
        )
    )
    view = view_of(store, clock)
    clock.forward(minutes=30)

    view.catch_up()

    snapshot = view.snapshot
    asked = ~np.isnan(snapshot.answered_at)
    assert starts(snapshot) == [4]
    assert sorted(
        zip(
            (snapshot.answered_at[asked] - NOW.timestamp()).tolist(),
            snapshot.offered[asked].tolist(),
            strict=True,
        )
    ) == [(0.0, False), (60.0, True)]


def test_a_block_is_offered_until_the_very_moment(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """One second before offered_for has passed a block is still offered."""
    store.put_block(block([timeslot(3)]))
    view = view_of(store, clock)
    clock.forward(minutes=29, seconds=59)

    view.catch_up()

    assert starts(view.snapshot) == [3]


def test_each_source_has_its_own_patience(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """offered_for is a property of the source."""
    southern = BlockKey(source=SYD, unit=SOUTHERN_UNIT, time_type_id=VISIT)
    store.put_block(block([timeslot(3)]))
    store.put_block(block([timeslot(4, of=schedule(SOUTHERN_UNIT))], key=southern))
    view = view_of(store, clock, source(), southern_source(offered_for=HOUR))
    clock.forward(minutes=40)

    view.catch_up()

    assert starts(view.snapshot) == [4]


def test_an_expired_block_comes_back(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """A fresh answer is offered again."""
    store.put_block(block([timeslot(3)]))
    view = view_of(store, clock)
    clock.forward(hours=1)
    view.catch_up()
    store.put_block(block([timeslot(3)], answered_at=clock()))

    view.catch_up()

    assert starts(view.snapshot) == [3]


def test_a_store_that_is_away_keeps_the_last_good_snapshot(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """Searches go on from what there was."""
    store.put_block(block([timeslot(3)]))
    leaving = LeavingStore(store)
    view = view_of(leaving, clock)
    leaving.away = {"changes"}

    with pytest.raises(StoreUnavailable):
        view.catch_up()

    assert starts(view.snapshot) == [3]


@pytest.mark.parametrize("lost", ["blocks", "catalogue", "status"])
def test_a_change_that_could_not_be_read_is_read_later(
    store: MemorySlotStore, clock: MovableClock, lost: str
) -> None:
    """A store that goes away between the news and the reading loses nothing."""
    leaving = LeavingStore(store)
    view = view_of(leaving, clock)
    status = SourceStatus(
        source=NORR, last_answer_at=NOW, failing_since=None, last_error=None
    )
    store.put_block(block([timeslot(3)]))
    store.put_catalogue(catalogue())
    store.put_status(status)
    leaving.away = {lost}
    with pytest.raises(StoreUnavailable):
        view.catch_up()
    leaving.away = set()

    view.catch_up()

    assert starts(view.snapshot) == [3]
    assert view.snapshot.directory.asked_units == {UNIT}
    assert view.snapshot.statuses == {NORR: status}


@pytest.fixture(name="own_redis", scope="module")
def _own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as embedded:
        yield embedded.url


@pytest.fixture(name="redis_store")
def _redis_store(own_redis: str) -> Iterator[RedisSlotStore]:
    with redis.Redis.from_url(own_redis) as client:
        client.flushall()
    store = RedisSlotStore(own_redis)
    yield store
    store.close()


def test_an_emptied_redis_takes_nothing_away(
    redis_store: RedisSlotStore, own_redis: str, clock: MovableClock
) -> None:
    """After FLUSHALL what was good stays until it is too old."""
    redis_store.put_block(block([timeslot(3)]))
    redis_store.put_catalogue(catalogue())
    view = view_of(redis_store, clock)
    with redis.Redis.from_url(own_redis) as client:
        client.flushall()

    view.catch_up()

    assert starts(view.snapshot) == [3]
    assert view.snapshot.directory.asked_units == {UNIT}


def test_everything_is_read_when_changes_were_missed(
    redis_store: RedisSlotStore, own_redis: str, clock: MovableClock
) -> None:
    """A view that was away for longer than the stream reaches back reads all."""
    redis_store.put_block(block([timeslot(3)]))
    view = view_of(redis_store, clock)
    second = schedule(OTHER_UNIT)
    redis_store.put_block(block([timeslot(4, of=second)]))
    with redis.Redis.from_url(own_redis) as client:
        client.delete("changes")
    redis_store.put_catalogue(catalogue())

    view.catch_up()
    view.catch_up()

    assert starts(view.snapshot) == [3, 4]
    assert view.snapshot.directory.asked_units == {UNIT}


def wait_for(view: SlotView, expected: list[float]) -> None:
    """Wait until the view's snapshot has just these times."""
    deadline = monotonic() + 5
    pause = Event()
    while starts(view.snapshot) != expected:
        assert monotonic() < deadline, starts(view.snapshot)
        pause.wait(0.01)


def test_a_started_view_follows_by_itself(
    redis_store: RedisSlotStore, clock: MovableClock
) -> None:
    """Once started a view follows the store until it is stopped."""
    view = SlotView([source()], {}, redis_store, dict, clock=clock)
    view.start()
    redis_store.put_block(block([timeslot(3)]))
    wait_for(view, [3])
    redis_store.put_block(block([timeslot(4)]))
    wait_for(view, [4])
    view.stop()
    redis_store.put_block(block([timeslot(5)]))

    assert starts(view.snapshot) == [4]


def test_a_started_view_applies_changes_that_come_together_at_once(
    redis_store: RedisSlotStore, clock: MovableClock
) -> None:
    """Many blocks within a second make a few snapshots, and the last one has all."""
    view = SlotView([source()], {}, redis_store, dict, clock=clock)
    view.start()
    began = monotonic()
    a_moment = Event()
    for hour in range(3, 103):
        redis_store.put_block(block([timeslot(hour)]))
        a_moment.wait(0.01)
    wait_for(view, [102])
    view.stop()

    # Four a second, and one more for each end.
    assert view.snapshot.version <= 4 * (monotonic() - began) + 2


def test_times_that_are_listed_again_leave_their_segment(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """What is listed as before is only younger; one time more makes a new segment."""
    store.put_block(block([timeslot(3), timeslot(5)]))
    view = view_of(store, clock)
    ((segment, before),) = view.snapshot.segments.items()

    store.put_block(block([timeslot(5), timeslot(3)], answered_at=NOW + HOUR))
    view.catch_up()
    assert view.snapshot.segments[segment] is before
    known = view.snapshot.known(schedule().token)
    assert known is not None
    assert known.answered_at == NOW + HOUR

    store.put_block(block([timeslot(5), timeslot(3, count=2)]))
    view.catch_up()
    assert view.snapshot.segments[segment] is not before
    assert [row[3] for row in rows(view.snapshot)] == [2, 1]


def test_an_offer_that_is_said_again_changes_nothing(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """The same catalogue makes no snapshot; another catalogue does."""
    both = {UNIT: [(VISIT, "Besök")]}
    store.put_catalogue(catalogue(both))
    view = view_of(store, clock)
    before = view.snapshot

    store.put_catalogue(catalogue(both, answered_at=NOW + HOUR))
    view.catch_up()
    assert view.snapshot is before

    store.put_catalogue(catalogue({UNIT: [(VISIT, "Läkarbesök")]}))
    view.catch_up()
    assert view.snapshot.layout == before.layout + 1
    assert [
        each.time_type.name for each in view.snapshot.directory.offerings.values()
    ] == ["Läkarbesök"]


def test_a_started_view_outlives_its_redis(tmp_path: Path, clock: MovableClock) -> None:
    """Without Redis the view ages; when Redis is back it follows again."""
    with EmbeddedRedis(tmp_path) as embedded:
        store = RedisSlotStore(embedded.url)
        store.put_block(block([timeslot(3)]))
        view = SlotView([source()], {}, store, dict, clock=clock)
        view.start()
        wait_for(view, [3])
    clock.forward(minutes=30)
    wait_for(view, [])
    with EmbeddedRedis(tmp_path):
        store.put_block(block([timeslot(4)], answered_at=clock()))
        wait_for(view, [4])
        view.stop()
    store.close()


def test_a_started_view_outlives_a_fault_of_ours(
    redis_store: RedisSlotStore, clock: MovableClock
) -> None:
    """A failure is logged, and everything is read anew: nothing is half applied."""

    class FailingOnce:
        """A store that gives something unforeseen for the first news."""

        def __init__(self) -> None:
            self.failed = Event()

        def __getattr__(self, name: str) -> Any:
            return getattr(redis_store, name)

        def blocks(self, keys: Sequence[BlockKey]) -> list[SlotBlock | None]:
            if keys and not self.failed.is_set():
                self.failed.set()
                raise ZeroDivisionError
            return redis_store.blocks(keys)

    store = FailingOnce()
    view = SlotView([source()], {}, store, dict, clock=clock)
    with capture_logs() as logs:
        view.start()
        redis_store.put_block(block([timeslot(3)]))
        wait_for(view, [3])
        view.stop()

    failed = [each for each in logs if each["event"] == "slot view failed"]
    assert [each["kind"] for each in failed] == ["ZeroDivisionError"]
    assert store.failed.is_set()


def test_a_view_that_never_started_can_be_stopped(store: MemorySlotStore) -> None:
    """Stopping without a thread does nothing."""
    SlotView([source()], {}, store, dict).stop()


def test_a_thousand_times_keep_their_order(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """Many blocks with many times become one sorted column."""
    listed: list[Timeslot] = []
    for number in range(20):
        of = schedule(resource_id=ResourceId(str(number)), time_type=f"TT-{number}")
        block_of = [timeslot(3 + (7 * hour) % 50 / 2, of=of) for hour in range(50)]
        listed += block_of
        store.put_block(block(block_of))

    snapshot = view_of(store, clock).snapshot

    expected = sorted(
        (
            int(each.start.timestamp()),
            schedule_rank(each.schedule.token),
            each.schedule.token,
        )
        for each in listed
    )
    assert [row[:2] for row in rows(snapshot)] == [
        (start, token) for start, _, token in expected
    ]


def test_a_snapshot_knows_no_schedule_of_a_later_one(clock: MovableClock) -> None:
    """All snapshots share one table; what was added later is not known earlier."""
    store = MemorySlotStore()
    view = view_of(store, clock)
    eva = HsaId("SE2321000016-P01")
    hers = schedule(performer=eva)
    earlier = view.snapshot

    store.put_block(block([timeslot(1, of=hers)]))
    view.catch_up()

    assert earlier.known(hers.token) is None
    assert earlier.staff_of_unit(UNIT) == {}
    assert earlier.first_of(eva) is None
    assert view.snapshot.known(hers.token) is not None


# What is promised away


def test_what_is_promised_away_comes_and_goes(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """A time is left out when it is said to be promised, and in again after that."""
    store.put_block(block([timeslot(3), timeslot(4)]))
    reported: dict[str, tuple[float, ...]] = {}
    view = SlotView([source()], {}, store, lambda: reported, clock=clock)
    seen = []

    for change in ({timeslot(3).token: (inf,)}, {}, {timeslot(3).token: ()}):
        reported = change
        view.catch_up()
        seen.append(starts(view.snapshot))

    assert seen == [[4], [4], [3, 4]]


def test_what_is_promised_away_is_hidden_without_the_store(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """The store cannot give the block, and the time is left out all the same."""
    store.put_block(block([timeslot(3), timeslot(4)]))
    leaving = LeavingStore(store)
    reported: dict[str, tuple[float, ...]] = {}
    view = SlotView([source()], {}, leaving, lambda: reported, clock=clock)
    view.catch_up()
    leaving.away = {"blocks"}
    reported = {timeslot(3).token: (inf,)}

    view.leave_out()

    assert starts(view.snapshot) == [4]


def test_what_is_promised_away_is_hidden_where_the_store_has_lost_it(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """Redis was emptied; what was read before is offered on, less what is promised."""
    store.put_block(block([timeslot(3), timeslot(4)]))
    reported: dict[str, tuple[float, ...]] = {}
    view = SlotView([source()], {}, store, lambda: reported, clock=clock)
    view.catch_up()
    store.empty()
    reported = {timeslot(3).token: (inf,)}

    view.leave_out()

    assert starts(view.snapshot) == [4]


def test_what_is_given_back_without_the_store_is_shown_when_it_is_back(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """That it was given back is reported once; its block is read when it can be."""
    store.put_block(block([timeslot(3), timeslot(4)]))
    leaving = LeavingStore(store)
    reported: dict[str, tuple[float, ...]] = {timeslot(3).token: (inf,)}
    view = SlotView([source()], {}, leaving, lambda: reported, clock=clock)
    view.catch_up()
    seen = []

    leaving.away = {"blocks"}
    for change in ({timeslot(3).token: ()}, {}):
        reported = change
        view.leave_out()
        seen.append(starts(view.snapshot))
    leaving.away = set()
    view.leave_out()
    seen.append(starts(view.snapshot))

    assert seen == [[4], [4], [3, 4]]


def test_a_repeated_change_changes_nothing(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """A reading by change repeats a lot: the view stays as it is."""
    store.put_block(block([timeslot(3), timeslot(4)]))
    held = {timeslot(3).token: (inf,)}
    view = SlotView([source()], {}, store, lambda: held, clock=clock)
    view.catch_up()
    before = view.snapshot

    view.catch_up()

    assert view.snapshot is before


def test_what_has_begun_is_given_back_without_a_look(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """Nobody searches for it, so its block is not read again."""
    soon = timeslot(0.02)
    store.put_block(block([soon, timeslot(4)]))
    reported: dict[str, tuple[float, ...]] = {soon.token: (inf,)}
    view = SlotView([source()], {}, store, lambda: reported, clock=clock)
    view.catch_up()
    clock.forward(minutes=2)
    reported = {soon.token: ()}
    before = view.snapshot

    view.catch_up()

    assert view.snapshot is before


def reported(of: Timeslot) -> TimeslotToken:
    """Return how a time is named."""
    return TimeslotToken.parse(of.token)


def test_a_young_block_tells_which_times_it_lacks(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """A time of another start, length or schedule is not the one that it has."""
    listed, free = timeslot(2), timeslot(3)
    store.put_block(block([listed]))
    view = view_of(store, clock)
    view.catch_up()
    token = reported(listed)

    lacking = [
        view.lacks(each)
        for each in (
            token,
            reported(free),
            replace(token, length=token.length + 60),
            replace(token, schedule=token.schedule[:-8] + "aaaaaaaa"),
        )
    ]

    assert lacking == [False, True, True, True]


@pytest.mark.parametrize("age", [timedelta(minutes=11), timedelta(hours=2)])
def test_an_old_block_lacks_nothing(
    store: MemorySlotStore, clock: MovableClock, age: timedelta
) -> None:
    """What a source lists by now may be more."""
    store.put_block(block([timeslot(30)]))
    view = view_of(store, clock)
    view.catch_up()

    clock.instant += age
    view.catch_up()

    assert not view.lacks(reported(timeslot(31)))


def test_a_block_that_was_never_read_lacks_nothing(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """Its source has not been asked, or its answer is lost."""
    view = view_of(store, clock)
    view.catch_up()

    assert not view.lacks(reported(timeslot(2)))


def test_what_is_promised_away_is_not_lacking(
    store: MemorySlotStore, clock: MovableClock
) -> None:
    """The holder of a time may book it, though no search finds it."""
    held = timeslot(2)
    store.put_block(block([held]))
    view = SlotView([source()], {}, store, lambda: {held.token: (inf,)}, clock=clock)
    view.catch_up()

    assert not view.lacks(reported(held))
