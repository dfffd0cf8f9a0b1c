"""
Live sources: asked within the search, under its deadline, and never kept.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from time import monotonic
from typing import Any

import pytest
from builders import (
    AGENT,
    COVID,
    NORR,
    NOW,
    SOUTHERN_UNIT,
    SYD,
    TOLVAN,
    UNIT,
    VISIT,
    block,
    catalogue,
    schedule,
    source,
    southern_source,
    timeslot,
    unit,
)
from doubles import AnsweringAdapter, MemorySightings, MemorySlotStore, MovableClock
from structlog.testing import capture_logs

from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import SourceFault, Unavailable
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.scheduling import GetAvailableTimeslots
from fhir_gateway.model.source import Budget, Mode, Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.search.live_search import LiveSearch
from fhir_gateway.services.search.search_page import SlotPage
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.stores.sightings import LiveSighting
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock

FAULT = SourceFault("The source answered with a technical fault.", source=SYD)
MANY_UNITS = tuple(HsaId(f"SE2321000099-C{number:02}") for number in range(12))
LIVE: dict[str, Any] = {
    "mode": Mode.LIVE,
    "budget": Budget(calls_per_second=10_000.0, calls_in_flight=4),
    "horizon": timedelta(days=9),
    "live_timeout": timedelta(seconds=5),
}


def southern(hours: float, hsa_id: str = SOUTHERN_UNIT, **changed: Any) -> Timeslot:
    """Return a time of the live source."""
    return timeslot(hours, of=schedule(hsa_id), **changed)


@dataclass
class World:
    """norr, with stored times, and syd, which each search asks."""

    live: dict[str, Any] = field(default_factory=dict)
    units: tuple[HsaId, ...] = (SOUTHERN_UNIT,)

    def __post_init__(self) -> None:
        self.clock = MovableClock()
        self.store = MemorySlotStore()
        self.sightings = MemorySightings()
        self.adapter = AnsweringAdapter(name=SYD)
        self.held: dict[str, tuple[float, ...]] = {}
        syd = southern_source(
            **LIVE
            | {"units": tuple(unit(each, source=SYD) for each in self.units)}
            | self.live
        )
        self.sources: dict[SourceName, Source] = {
            each.name: each for each in (source(), syd)
        }
        self.view = SlotView(
            self.sources.values(), {}, self.store, lambda: self.held, clock=self.clock
        )
        self.asker = LiveSearch(
            self.sources,
            {NORR: AnsweringAdapter(), SYD: self.adapter},
            self.store,
            most_waiting=2,
            sightings=self.sightings,
            clock=self.clock,
        )
        self.search = SlotSearch(
            self.view, self.sources, live=self.asker, clock=self.clock
        )
        self.store.put_catalogue(catalogue())
        self.store.put_catalogue(
            catalogue({each: [(VISIT, "Besök")] for each in self.units}, name="syd")
        )
        self.store.put_block(block([timeslot(3), timeslot(6)]))
        self.view.catch_up()

    def page(self, **criteria: Any) -> SlotPage:
        """Return what a search finds."""
        return self.search.search(SlotCriteria(**criteria))

    @property
    def asked(self) -> list[GetAvailableTimeslots]:
        """Return what the live source was asked."""
        return self.adapter.asked(GetAvailableTimeslots)


def hours(page: SlotPage) -> list[float]:
    """Return when the times of a page begin, in hours from now."""
    return [(each.timeslot.start - NOW).total_seconds() / 3600 for each in page.found]


def hanging(world: World) -> threading.Event:
    """Let the live source not answer until the event is set."""
    answers = threading.Event()
    world.adapter.before = lambda _: answers.wait(10)
    return answers


@pytest.fixture(name="make")
def _make() -> Iterator[Any]:
    """Give the maker of worlds."""
    worlds: list[World] = []

    def make(**options: Any) -> World:
        worlds.append(World(**options))
        return worlds[-1]

    yield make
    for each in worlds:
        each.asker.close()


@pytest.fixture(name="world")
def _world(make: Any) -> World:
    made: World = make()
    made.adapter.timeslots = [southern(2), southern(4), southern(8, count=3)]
    return made


def test_live_times_stand_in_order_with_the_others(world: World) -> None:
    """They are merged by start, counted, and nothing is missing."""
    page = world.page()

    assert (hours(page), page.total, page.outcomes) == ([2, 3, 4, 6, 8], 5, ())
    assert [each.timeslot.count for each in page.found] == [1, 1, 1, 1, 3]


def test_a_live_source_is_asked_as_the_agent(world: World) -> None:
    """For the whole horizon, about the number that was agreed with it."""
    world.page()

    assert world.asked == [
        GetAvailableTimeslots(
            unit=SOUTHERN_UNIT,
            actor=Actor.agent(AGENT),
            subject_of_care=TOLVAN,
            first_day=date(2026, 3, 2),
            last_day=date(2026, 3, 11),
            time_type_id=VISIT,
        )
    ]


def test_live_times_are_never_kept(world: World) -> None:
    """Neither the view nor the store has any of them, and each search asks anew."""
    world.page()
    world.asker.close()
    world.adapter.timeslots = []
    world.view.catch_up()
    kept = [
        len(each.rows) for each in world.store.blocks(world.store.block_keys()) if each
    ]

    assert sorted(kept) == [0, 2]
    assert not any(
        len(columns)
        for segment, columns in world.view.snapshot.segments.items()
        if segment == ("live:syd",)
    )


def test_each_search_asks_anew(world: World) -> None:
    """What has gone since is not shown."""
    world.page()
    world.adapter.timeslots = [southern(5)]

    assert hours(world.page()) == [3, 5, 6]
    assert len(world.asked) == 2


def test_a_page_of_live_times_does_not_hold(world: World) -> None:
    """It must not be answered from a cached rendering."""
    page = world.page()

    assert not world.search.still_holds(page.snapshot.version, page.until)


def test_the_source_of_live_times_is_known(world: World) -> None:
    """A schedule can be read after the search, in every process."""
    token = southern(2).schedule.token
    before = world.view.snapshot.known(token)
    world.page()
    known = world.view.snapshot.known(token)
    world.asker.close()
    other = SlotView(world.sources.values(), {}, world.store, dict, clock=world.clock)
    other.catch_up()

    assert before is None
    assert known is not None
    assert (known.source, known.answered_at) == (SYD, NOW)
    assert other.snapshot.known(token) == known


def test_pages_of_live_times_hold_everything_once(world: World) -> None:
    """Paging goes on behind the last time, from one asking to the next."""
    found, after = [], None
    for _ in range(5):
        page = world.page(count=1, after=after)
        found += hours(page)
        after = page.next_after
        assert page.total == 5

    assert (found, after) == ([2, 3, 4, 6, 8], None)


def test_live_times_come_latest_first(world: World) -> None:
    """The order is the search's."""
    assert hours(world.page(descending=True, count=3)) == [8, 6, 4]


def test_a_search_that_cannot_find_live_times_asks_nobody(world: World) -> None:
    """A search for another source's unit costs a live source nothing."""
    page = world.page(selector=Selector(units=(frozenset({UNIT}),)))

    assert (hours(page), world.asked) == ([3, 6], [])


@pytest.mark.parametrize(
    ("start", "before", "expected"),
    [
        pytest.param(24, 48, (date(2026, 3, 3), date(2026, 3, 4)), id="within"),
        pytest.param(-48, 1, (date(2026, 3, 2), date(2026, 3, 2)), id="from now on"),
        pytest.param(24 * 8, 24 * 99, (date(2026, 3, 10), date(2026, 3, 11)), id="far"),
    ],
)
def test_only_the_days_of_the_search_are_asked_for(
    world: World, start: float, before: float, expected: tuple[date, date]
) -> None:
    """The period is the search's, within the source's horizon."""
    world.page(start=NOW + timedelta(hours=start), before=NOW + timedelta(hours=before))

    assert [(each.first_day, each.last_day) for each in world.asked] == [expected]


def test_beyond_the_horizon_nothing_is_asked(world: World) -> None:
    """Where no times are offered there are none, and nothing is missing."""
    page = world.page(start=NOW + timedelta(days=30))

    assert (page.total, page.outcomes, world.asked) == (0, (), [])


def test_what_is_promised_away_is_left_out(world: World) -> None:
    """A time that was claimed here is not offered, though the source still lists it."""
    world.held = {southern(4).token: (float("inf"),)}
    world.view.catch_up()

    assert hours(world.page()) == [2, 3, 6, 8]


def test_past_times_and_other_types_are_left_out(world: World) -> None:
    """A live answer is looked through like any other."""
    world.adapter.timeslots = [
        southern(-1),
        southern(2),
        timeslot(5, of=schedule(SOUTHERN_UNIT, "TT-OTHER")),
    ]

    assert hours(world.page()) == [2, 3, 6]


# What is missing


def test_a_source_that_misses_the_deadline_is_named(make: Any) -> None:
    """The others' times come in time; the search names the late sources."""
    world: World = make(live={"live_timeout": timedelta(seconds=0.2)})
    answers = hanging(world)
    began = monotonic()
    page = world.page()
    took = monotonic() - began
    answers.set()

    assert (hours(page), page.total) == ([3, 6], None)
    assert page.outcomes == (
        SourceOutcome(
            source=SYD,
            problem=SourceProblem.UNAVAILABLE,
            detail=(
                "Region Syd is asked within each search, and left 1 of 1 questions"
                " unanswered within 0.2 s."
            ),
        ),
    )
    # Its answer would come after ten seconds.
    assert took < 5


def test_a_client_in_a_hurry_does_not_make_a_source_look_silent(make: Any) -> None:
    """What a client did not wait for is missing, and says nothing of the source."""
    world: World = make()
    answers = hanging(world)
    pages = [world.page(live_within=timedelta(seconds=0.05)) for _ in range(8)]
    silences = [
        world.search.who_offers(Selector()).outcomes,
        world.sightings.live,
    ]
    answers.set()

    assert all("unanswered within 0.05 s" in page.outcomes[0].detail for page in pages)
    assert silences == [(), {}]
    assert world.page().outcomes == ()


def test_a_failing_source_is_named(world: World) -> None:
    """A fault is an answer that is missing."""
    world.adapter.errors = {scheduling.GET_AVAILABLE_TIMESLOTS: FAULT}
    page = world.page()

    assert (hours(page), page.total) == ([3, 6], None)
    assert [each.problem for each in page.outcomes] == [SourceProblem.UNAVAILABLE]


def test_an_answer_in_part_is_shown(make: Any) -> None:
    """What one unit answered stands beside the outcome for the other."""
    one_at_a_time = Budget(calls_per_second=10_000.0, calls_in_flight=1)
    world: World = make(units=MANY_UNITS[:2], live={"budget": one_at_a_time})
    world.adapter.timeslots = [southern(2, each) for each in MANY_UNITS[:2]]

    def before(_: Interaction) -> None:
        if world.adapter.calls[-1].unit == MANY_UNITS[1]:
            raise FAULT

    world.adapter.before = before
    page = world.page()

    assert hours(page) == [2, 3, 6]
    assert [each.problem for each in page.outcomes] == [SourceProblem.UNAVAILABLE]
    assert page.total is None


def test_a_live_source_that_does_not_answer_is_logged_once_for_a_search(
    make: Any,
) -> None:
    """However many questions of a search have no answer, one line counts them."""
    world: World = make(units=MANY_UNITS[:2])

    def before(_: Interaction) -> None:
        raise FAULT

    world.adapter.before = before
    with capture_logs() as logs:
        world.page()

    assert [(each["event"], each["questions"]) for each in logs] == [
        ("live source did not answer", 2)
    ]


def test_an_absurd_size_is_not_believed(make: Any) -> None:
    """More times than one time type can have are no answer, and the log says so."""
    world: World = make(live={"most_slots": 2})
    world.adapter.timeslots = [southern(2), southern(4), southern(8)]
    with capture_logs() as logs:
        page = world.page()

    assert (hours(page), page.total) == ([3, 6], None)
    assert [each.problem for each in page.outcomes] == [SourceProblem.UNAVAILABLE]
    assert [(each["event"], "most_slots" in each["error"]) for each in logs] == [
        ("live source did not answer", True)
    ]


def test_a_search_does_not_fan_out_wildly(make: Any) -> None:
    """So many questions and no more; the rest is named."""
    world: World = make(units=MANY_UNITS, live={"live_calls": 5})
    page = world.page()

    assert len(world.asked) == 5
    assert page.total is None
    assert page.outcomes == (
        SourceOutcome(
            source=SYD,
            problem=SourceProblem.INCOMPLETE,
            detail=(
                "Region Syd is asked within each search, and only so often: 7 questions"
                " about its units' time types were not asked. Search for one unit, a"
                " shorter period, or again in a minute."
            ),
            since=NOW,
        ),
    )


def test_the_earliest_windows_are_asked_for_first(make: Any) -> None:
    """Of several windows those come first that the order of the search wants."""
    changed = {"live_calls": 2, "window": timedelta(days=3)}
    first: World = make(live=changed)
    last: World = make(live=changed)
    first.page()
    last.page(descending=True)

    assert {each.first_day for each in first.asked} == {
        date(2026, 3, 2),
        date(2026, 3, 5),
    }
    assert {each.last_day for each in last.asked} == {
        date(2026, 3, 11),
        date(2026, 3, 10),
    }


def test_the_budget_applies(make: Any) -> None:
    """A call that the pace allows only after the deadline is not made, and is named."""
    world: World = make(
        units=MANY_UNITS[:4],
        live={
            "budget": Budget(calls_per_second=2.0, calls_in_flight=4),
            "live_timeout": timedelta(seconds=0.8),
        },
    )
    page = world.page()

    assert len(world.asked) == 2
    assert [each.problem for each in page.outcomes] == [SourceProblem.INCOMPLETE]


def test_a_source_that_stopped_answering_is_not_waited_for(make: Any) -> None:
    """After failures in a row searches do not wait, until a probe succeeds."""
    world: World = make(units=MANY_UNITS[:6])
    world.adapter.errors = {scheduling.GET_AVAILABLE_TIMESLOTS: FAULT}
    world.page()
    asked = len(world.asked)
    broken = world.page()
    world.adapter.errors = {}
    world.clock.forward(seconds=3)
    # The probe.
    world.page()

    # The breaker may have opened before the last of the six calls began.
    assert (asked in (5, 6), len(world.asked) > asked) == (True, True)
    assert [each.detail for each in broken.outcomes] == [
        "Region Syd does not answer at present."
    ]
    assert world.page().outcomes == ()


def test_waiting_searches_leave_threads_to_others(make: Any) -> None:
    """When enough searches wait, the next goes without, at once, and says so."""
    world: World = make()
    answers = threading.Event()
    arrived = threading.Semaphore(0)

    def before(_: Interaction) -> None:
        arrived.release()
        answers.wait(10)

    world.adapter.before = before
    waiting = [threading.Thread(target=world.page) for _ in range(2)]
    for each in waiting:
        each.start()
    for _ in waiting:
        assert arrived.acquire(timeout=5)
    began = monotonic()
    page = world.page()
    took = monotonic() - began
    answers.set()
    for each in waiting:
        each.join()

    # With a place to wait it would wait five seconds.
    assert took < 4
    assert hours(page) == [3, 6]
    (outcome,) = page.outcomes
    assert outcome.detail == (
        "Region Syd is asked within each search, and too many searches wait already;"
        " search again in a minute."
    )
    assert world.page().outcomes == ()


def test_one_question_that_hangs_time_and_again_is_given_up(make: Any) -> None:
    """A popular search does not wait for a source that never answers it."""
    world: World = make()
    world.adapter.errors = {scheduling.GET_AVAILABLE_TIMESLOTS: FAULT}
    for _ in range(5):
        world.page()
    asked = len(world.asked)
    world.page()

    assert (asked, len(world.asked)) == (5, 5)


def test_a_source_that_has_not_said_what_it_offers_is_named(make: Any) -> None:
    """Whom to ask is not known: that is missing, not empty."""
    world: World = make()
    world.store.empty()
    fresh = SlotView(world.sources.values(), {}, world.store, dict, clock=world.clock)
    search = SlotSearch(fresh, world.sources, live=world.asker, clock=world.clock)
    page = search.search(SlotCriteria())

    assert {each.source: each.problem for each in page.outcomes} == {
        NORR: SourceProblem.NOT_YET_ASKED,
        SYD: SourceProblem.NOT_YET_ASKED,
    }


def test_a_search_without_anybody_to_ask_live_cannot_be_made(world: World) -> None:
    """A live source that nobody asks would look empty."""
    with pytest.raises(ValueError, match="live source"):
        SlotSearch(world.view, world.sources)


# One time


def test_one_live_time_is_found_by_asking(world: World) -> None:
    """By its token alone, for its day alone, in a process that never searched."""
    found = world.search.find(TimeslotToken.parse(southern(8).token))

    assert found is not None
    assert (found.timeslot, found.known.source) == (southern(8, count=3), SYD)
    (asked,) = world.asked
    assert (asked.first_day, asked.last_day) == (date(2026, 3, 2), date(2026, 3, 2))


def test_a_live_time_that_is_not_listed_is_not_found(world: World) -> None:
    """The source says no: it is not free."""
    assert world.search.find(TimeslotToken.parse(southern(7).token)) is None


def test_a_live_time_that_cannot_be_asked_for_is_not_gone(world: World) -> None:
    """Nobody knows, and that is said."""
    world.adapter.errors = {scheduling.GET_AVAILABLE_TIMESLOTS: FAULT}

    with pytest.raises(Unavailable, match="Try again in a minute"):
        world.search.find(TimeslotToken.parse(southern(2).token))


def test_an_unknown_time_type_asks_nobody(world: World) -> None:
    """A token of a time type that is not offered is nobody's."""
    strange = timeslot(3, of=schedule(SOUTHERN_UNIT, TimeTypeId("TT-X")))

    assert world.search.find(TimeslotToken.parse(strange.token)) is None
    assert world.asked == []


def test_live_times_that_could_not_be_kept_are_reported(world: World) -> None:
    """The others are shown, none is counted, and the log has it once."""
    world.adapter.is_careless = True
    world.adapter.timeslots.append(timeslot(5, of=schedule(SOUTHERN_UNIT, COVID)))
    with capture_logs() as logs:
        pages = [world.page() for _ in range(3)]

    assert [(hours(each), each.total) for each in pages] == [
        ([2.0, 3.0, 4.0, 6.0, 8.0], None)
    ] * 3
    assert pages[0].outcomes == (
        SourceOutcome(
            source=SYD,
            problem=SourceProblem.INCOMPLETE,
            detail=(
                "Region Syd also lists free times of 1 of its time types that this"
                " server cannot read whole; ask the unit for what is not shown here."
            ),
            since=NOW,
        ),
    )
    assert logs == [
        {
            "event": "answer read in part",
            "log_level": "warning",
            "source": SYD,
            "interaction": "GetAvailableTimeslots",
            "unit": SOUTHERN_UNIT,
            "time_type": VISIT,
            "reasons": ["of another time type"],
            "items": 1,
        }
    ]


def test_a_live_loss_does_not_hide_a_time_that_could_be_read(world: World) -> None:
    """One time is found though the same answer has another that could not be kept."""
    world.adapter.rejected = {GetAvailableTimeslots: ("endTimeExclusive: not an end",)}
    wanted = world.adapter.timeslots[0]

    found = world.search.find(TimeslotToken.parse(wanted.token))

    assert found is not None
    assert found.timeslot == wanted


LIVE_KEY = BlockKey(source=SYD, unit=SOUTHERN_UNIT, time_type_id=VISIT)


def stored(world: World) -> SlotBlock:
    """Return what is stored of the live source when all has been stored."""
    world.asker.close()
    (kept,) = world.store.blocks([LIVE_KEY])
    assert kept is not None
    return kept


def test_what_live_answers_lose_is_stored(world: World) -> None:
    """Operators see the losses of the last answer; its times are stored nowhere."""
    world.adapter.rejected = {GetAvailableTimeslots: ("endTimeExclusive: not an end",)}
    world.page()
    kept = stored(world)

    assert [each.reason for each in kept.losses] == [
        "malformed: endTimeExclusive: not an end"
    ]
    assert len(kept.rows) == 0


def test_a_whole_live_answer_ends_the_loss_of_another_process(
    world: World,
) -> None:
    """What is stored is the last answer's, whichever process was asked."""
    lossy = block([], key=LIVE_KEY, rejected={"of another time type": 1})
    world.store.put_block(lossy)
    world.view.catch_up()
    world.page()

    assert stored(world).losses == ()


def test_operators_see_how_a_live_sources_questions_went(world: World) -> None:
    """A source of which every question fails is failing since the first of them."""
    world.adapter.errors = {scheduling.GET_AVAILABLE_TIMESLOTS: FAULT}
    world.page()
    world.clock.forward(seconds=30)
    world.page()
    world.asker.close()

    seen = world.sightings.live[SYD]

    assert seen == LiveSighting(
        seen_at=NOW + timedelta(seconds=30),
        asked=seen.asked,
        unanswered=seen.asked,
        failing_since=NOW,
        last_error=str(FAULT),
    )


def test_operators_see_that_a_live_source_answers_again(world: World) -> None:
    """The first answer ends what was seen before it."""
    world.adapter.errors = {scheduling.GET_AVAILABLE_TIMESLOTS: FAULT}
    world.page()
    world.adapter.errors = {}
    world.page()
    world.asker.close()

    seen = world.sightings.live[SYD]

    assert (seen.unanswered, seen.failing_since, seen.last_error) == (0, None, None)


def test_who_offers_names_a_live_source_that_answers_nothing(world: World) -> None:
    """What it offers is listed, and for some time that nobody knows its times."""
    world.adapter.errors = {scheduling.GET_AVAILABLE_TIMESLOTS: FAULT}
    world.page()
    silent = world.search.who_offers(Selector())
    of_others = world.search.who_offers(Selector(sources=(frozenset({NORR}),)))
    world.clock.forward(minutes=11)
    later = world.search.who_offers(Selector(sources=(frozenset({SYD}),)))

    assert len(silent.offerings) == 2
    assert silent.outcomes == (
        SourceOutcome(
            source=SYD,
            problem=SourceProblem.UNAVAILABLE,
            detail="Region Syd does not answer at present.",
        ),
    )
    assert (of_others.outcomes, later.outcomes) == ((), ())
