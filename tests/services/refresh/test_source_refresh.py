"""
Refresh: what is asked, in which order and how often, and what is kept of it.
"""

import threading
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from builders import (
    AGENT,
    COVID,
    NORR,
    NOW,
    OTHER_UNIT,
    SOUTHERN_UNIT,
    SYD,
    TOLVAN,
    UNIT,
    VACCINATION,
    VISIT,
    block,
    catalogue,
    schedule,
    source,
    southern_source,
    timeslot,
    unit,
)
from doubles import (
    AnsweringAdapter,
    LeavingStore,
    MemoryRefreshHints,
    MemorySlotStore,
    MovableClock,
    PlainAdapter,
)
from structlog.testing import capture_logs

from fhir_gateway.model import scheduling
from fhir_gateway.model.care_unit import Performer
from fhir_gateway.model.errors import SourceFault, Unavailable
from fhir_gateway.model.ids import HsaId, ResourceId, TimeTypeId
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.loss import Loss
from fhir_gateway.model.scheduling import (
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
)
from fhir_gateway.model.source import Budget, Mode, Source
from fhir_gateway.model.timeslot import AvailableDate, FreeTimes, TimeType
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline
from fhir_gateway.services.refresh.source_refresh import SourceRefresh
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import StoreUnavailable
from fhir_gateway.stores.source_catalogue import SourceCatalogue
from fhir_gateway.stores.source_status import FailingQuestion, SourceStatus

VISITS = TimeType(id=VISIT, name="Besök")
COVIDS = TimeType(id=COVID, name="Covid")
KEY = BlockKey(source=NORR, unit=UNIT, time_type_id=VISIT)
AS_FAST_AS_CAN_BE = Budget(calls_per_second=10_000.0, calls_in_flight=2)
WITHOUT_DATES = frozenset(scheduling.INTERACTIONS) - {scheduling.GET_AVAILABLE_DATES}
FAULT = SourceFault("The source answered with a technical fault (VP009).", source=NORR)


@dataclass
class World:
    """One source behind an adapter without a wire, and the refresh of it."""

    source: Source = field(
        default_factory=lambda: source(
            budget=AS_FAST_AS_CAN_BE, horizon=timedelta(days=9)
        )
    )
    adapter: AnsweringAdapter = field(
        default_factory=lambda: AnsweringAdapter(time_types={UNIT: (VISITS,)})
    )
    store: Any = field(default_factory=MemorySlotStore)
    clock: MovableClock = field(default_factory=MovableClock)
    hints: MemoryRefreshHints = field(default_factory=MemoryRefreshHints)
    rechecks: MemoryRefreshHints = field(default_factory=MemoryRefreshHints)
    meanings: TimeTypeMap = field(default_factory=dict)
    others: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        self.refresh = self.another()

    def another(self) -> SourceRefresh:
        """Return a refresh that has just been started, as after a restart."""
        return SourceRefresh(
            self.source,
            self.adapter,
            self.store,
            self.hints,
            self.meanings,
            rechecks=self.rechecks,
            others=self.others,
            worker="worker-1",
            clock=self.clock,
            jitter=lambda: 0.5,
        )

    def run_once(self) -> list[Any]:
        """Ask all that is due and return what was asked."""
        self.adapter.calls.clear()
        self.refresh.run_once()
        return list(self.adapter.calls)

    def block(self, key: BlockKey = KEY) -> SlotBlock:
        """Return what is stored of a time type."""
        (found,) = self.store.blocks([key])
        assert found is not None
        return found


@pytest.fixture(name="world")
def _world() -> World:
    return World()


def short(call: Any) -> str:
    """Return what was asked, in short."""
    match call:
        case GetAllTimeTypes(unit=hsa_id):
            return f"time types {hsa_id[-3:]}"
        case GetAllPerformers(unit=hsa_id):
            return f"staff {hsa_id[-3:]}"
        case GetAvailableTimeslots(unit=hsa_id, time_type_id=time_type_id):
            return f"times {hsa_id[-3:]} {time_type_id}"
        case _:
            return type(call).__name__


# What is asked


def test_everything_is_asked_as_the_agent(world: World) -> None:
    """Everything is asked for as an agent, about the number agreed with the source."""
    who = {"actor": Actor.agent(AGENT), "subject_of_care": TOLVAN}

    assert world.run_once() == [
        GetAllTimeTypes(unit=UNIT, **who),
        GetAvailableTimeslots(
            unit=UNIT,
            **who,
            first_day=date(2026, 3, 2),
            last_day=date(2026, 3, 11),
            time_type_id=VISIT,
        ),
        GetAllPerformers(unit=UNIT, **who),
    ]


def test_staff_are_not_asked_for_where_they_cannot_be() -> None:
    """A source without GetAllPerformers is not asked for staff."""
    world = World()
    world.adapter.supports = frozenset(scheduling.INTERACTIONS) - {
        scheduling.GET_ALL_PERFORMERS
    }

    assert [short(each) for each in world.run_once()] == [
        "time types A01",
        "times A01 TT-BESOK",
    ]


def test_a_source_without_abilities_is_refreshed() -> None:
    """A source that can do what every source must is asked for types and times."""
    asked = World()
    plain = World(adapter=PlainAdapter(asked.adapter))  # type: ignore[arg-type] # it has what a refresh asks
    plain.refresh.run_once()

    assert [short(each) for each in asked.adapter.calls] == [
        "time types A01",
        "times A01 TT-BESOK",
    ]


def test_mapped_time_types_are_asked_for_first() -> None:
    """First what has a shared meaning, then the other units, then the rest."""
    world = World(
        source=source(
            budget=AS_FAST_AS_CAN_BE,
            units=(unit(), unit(OTHER_UNIT)),
            horizon=timedelta(days=9),
        ),
        adapter=AnsweringAdapter(
            supports=frozenset(scheduling.INTERACTIONS)
            - {scheduling.GET_ALL_PERFORMERS},
            time_types={UNIT: (VISITS, COVIDS), OTHER_UNIT: (VISITS, COVIDS)},
        ),
        meanings={
            (UNIT, COVID): (VACCINATION,),
            (OTHER_UNIT, COVID): (VACCINATION,),
        },
    )

    assert [short(each) for each in world.run_once()] == [
        "time types A01",
        "times A01 TT-COVID",
        "time types A02",
        "times A02 TT-COVID",
        "times A01 TT-BESOK",
        "times A02 TT-BESOK",
    ]


@pytest.mark.parametrize(
    ("horizon", "window", "expected"),
    [
        pytest.param(9, 90, [(0, 9)], id="one window is enough"),
        pytest.param(9, 10, [(0, 9)], id="just enough"),
        pytest.param(9, 9, [(0, 8), (9, 9)], id="a day too short"),
        pytest.param(9, 4, [(0, 3), (4, 7), (8, 9)], id="several"),
        pytest.param(2, 1, [(0, 0), (1, 1), (2, 2)], id="a day at a time"),
    ],
)
def test_windows_cover_the_horizon_once(
    horizon: int, window: int, expected: list[tuple[int, int]]
) -> None:
    """The days asked for join without a gap and without an overlap."""
    world = World(
        source=source(
            budget=AS_FAST_AS_CAN_BE,
            horizon=timedelta(days=horizon),
            window=timedelta(days=window),
        )
    )
    world.adapter.supports = WITHOUT_DATES
    world.run_once()

    today = date(2026, 3, 2)
    assert [
        ((each.first_day - today).days, (each.last_day - today).days)
        for each in world.adapter.asked(GetAvailableTimeslots)
    ] == expected


def test_today_is_swedens() -> None:
    """Just after midnight in Sweden it is still yesterday in Greenwich."""
    world = World()
    world.clock.instant = NOW.replace(hour=23, minute=30)
    world.run_once()

    (asked,) = world.adapter.asked(GetAvailableTimeslots)
    assert asked.first_day == date(2026, 3, 3)


def test_nothing_is_asked_again_while_it_is_young(world: World) -> None:
    """What was answered just now is not due."""
    world.run_once()

    assert world.run_once() == []


def test_times_are_due_after_a_third_of_their_freshness(world: World) -> None:
    """Times are asked for again before they are stale; the catalogue is not."""
    world.run_once()
    world.clock.forward(seconds=199)
    early = world.run_once()
    world.clock.forward(seconds=1)

    assert early == []
    assert [short(each) for each in world.run_once()] == ["times A01 TT-BESOK"]


def test_the_offer_is_due_after_six_hours(world: World) -> None:
    """A unit's time types are asked for four times a day."""
    world.run_once()
    world.clock.forward(hours=6)

    assert [short(each) for each in world.run_once()] == [
        "times A01 TT-BESOK",
        "time types A01",
        "staff A01",
    ]


def test_the_oldest_answer_is_renewed_first() -> None:
    """Among what is due the one that has waited longest comes first."""
    world = World(
        adapter=AnsweringAdapter(time_types={UNIT: (VISITS, COVIDS)}),
    )
    for minutes, time_type in ((7, COVID), (5, VISIT)):
        key = BlockKey(source=NORR, unit=UNIT, time_type_id=time_type)
        answered_at = NOW - timedelta(minutes=minutes)
        world.store.put_block(block([], key=key, answered_at=answered_at))
    world.store.put_catalogue(catalogue({UNIT: [(VISIT, "Besök"), (COVID, "Covid")]}))

    assert [short(each) for each in world.run_once()] == [
        "times A01 TT-COVID",
        "times A01 TT-BESOK",
    ]


# What is kept


def test_free_times_become_a_block(world: World) -> None:
    """A block has the source's times, and when it was asked and had answered."""
    listed = [timeslot(3), timeslot(4, count=2)]
    world.adapter.timeslots = listed
    world.run_once()

    found = world.block()
    assert found.rows.tolist() == block(listed).rows.tolist()
    assert (found.asked_at, found.answered_at, found.rejected) == (NOW, NOW, {})


@dataclass
class CachingAdapter(AnsweringAdapter):
    """A source behind an aggregating service that answers from its cache."""

    as_of: datetime | None = None

    def get_available_timeslots(
        self, query: GetAvailableTimeslots, *, timeout: float
    ) -> FreeTimes:
        """Return the unit's times, as they were."""
        answer = super().get_available_timeslots(query, timeout=timeout)
        return replace(answer, as_of=self.as_of)


@pytest.mark.parametrize(
    ("as_of", "answered_at", "rejected"),
    [
        pytest.param(NOW - timedelta(hours=1), NOW - timedelta(hours=1), {}, id="old"),
        pytest.param(NOW + timedelta(minutes=1), NOW, {}, id="of another clock"),
        pytest.param(
            NOW + timedelta(hours=1),
            NOW,
            {"from a cache that dates them in the future": 1},
            id="in the future",
        ),
    ],
)
def test_free_times_of_a_cache_are_as_old_as_it_says(
    as_of: datetime, answered_at: datetime, rejected: dict[str, int]
) -> None:
    """A block from a cache has the cached data's age if that is past."""
    adapter = CachingAdapter(time_types={UNIT: (VISITS,)}, as_of=as_of)
    adapter.timeslots = [timeslot(3)]
    world = World(adapter=adapter)
    world.run_once()

    found = world.block()
    assert (found.asked_at, found.answered_at, found.rejected) == (
        NOW,
        answered_at,
        rejected,
    )


def test_the_catalogue_of_a_source_is_stored(world: World) -> None:
    """The catalogue has units, time types and staff."""
    eva = Performer(hsa_id=HsaId("SE2321000016-P01"), first_name="Eva", last_name="Ek")
    world.adapter.performers = (eva,)
    world.run_once()

    assert world.store.catalogue(NORR) == catalogue(
        units=(unit(),), performers={eva.hsa_id: eva}
    )


def test_a_schedule_that_was_listed_once_is_kept(world: World) -> None:
    """A room without free times at present can still be read."""
    room = schedule(resource_id=ResourceId("1"))
    world.adapter.timeslots = [timeslot(3), timeslot(4, of=room)]
    world.run_once()
    world.adapter.timeslots = [timeslot(3)]
    world.clock.forward(minutes=5)
    world.run_once()

    assert set(world.block().schedules) == {schedule(), room}


@pytest.mark.parametrize(
    ("unwanted", "reason"),
    [
        pytest.param(timeslot(-1), "past", id="past"),
        pytest.param(timeslot(0), "past", id="begins now"),
        pytest.param(
            timeslot(4, of=schedule(time_type=COVID)), "of another time type", id="type"
        ),
    ],
)
def test_an_unwanted_time_is_counted_and_left_out(
    world: World, unwanted: Any, reason: str
) -> None:
    """Times that were not asked for do not come in, and the block says how many."""
    world.adapter.is_careless = True
    world.adapter.timeslots = [unwanted, unwanted, timeslot(3)]
    world.run_once()

    assert world.block().rejected == {reason: 2}
    assert len(world.block().rows) == 1


class CarelessAdapter(AnsweringAdapter):
    """A source that lists all that it has, whichever days are asked for."""

    def get_available_timeslots(
        self, query: GetAvailableTimeslots, *, timeout: float
    ) -> Any:
        """Return every time there is."""
        answer = super().get_available_timeslots(query, timeout=timeout)
        return replace(answer, timeslots=tuple(self.timeslots))


@pytest.mark.parametrize(
    "days",
    [
        pytest.param(10, id="a day behind the horizon"),
        pytest.param(365 * 100, id="later than a row can hold"),
    ],
)
def test_a_time_outside_the_days_asked_for_is_left_out(days: int) -> None:
    """A source that does not filter by day cannot fill the store with other days."""
    world = World(adapter=CarelessAdapter(time_types={UNIT: (VISITS,)}))
    world.adapter.timeslots = [timeslot(3), timeslot(3 + 24 * days)]
    world.run_once()

    assert world.block().rejected == {"outside the days asked for": 1}
    assert len(world.block().rows) == 1


def test_equal_unwanted_times_are_each_counted(world: World) -> None:
    """A time that is listed three times and left out is three times left out."""
    world.adapter.is_careless = True
    world.adapter.timeslots = [timeslot(3, of=schedule(time_type=COVID), count=3)]
    world.run_once()

    assert world.block().rejected == {"of another time type": 3}


def test_what_the_adapter_rejected_is_counted(world: World) -> None:
    """Malformed times are counted by what was wrong with them."""
    world.adapter.rejected = {
        GetAvailableTimeslots: ("endTimeExclusive: is missing",) * 2
    }
    world.run_once()

    assert world.block().rejected == {"malformed: endTimeExclusive: is missing": 2}


def test_nothing_free_is_a_block_too(world: World) -> None:
    """A source that answered with nothing differs from one that was not asked."""
    world.run_once()

    assert len(world.block().rows) == 0


# Units that come from the source itself


def test_units_can_come_from_the_source() -> None:
    """A source is asked for its units, and those of its prefix are taken."""
    world = World(
        source=source(
            units=(), units_from=UNIT, budget=AS_FAST_AS_CAN_BE, horizon=timedelta(1)
        ),
        adapter=AnsweringAdapter(
            supports=frozenset(scheduling.INTERACTIONS)
            - {scheduling.GET_ALL_PERFORMERS},
            units=(unit(), unit(OTHER_UNIT), unit(SOUTHERN_UNIT)),
            time_types={UNIT: (VISITS,), OTHER_UNIT: (VISITS,)},
        ),
    )

    assert [short(each) for each in world.run_once()] == [
        "GetAllHealthcareFacilities",
        "time types A01",
        "time types A02",
        "times A01 TT-BESOK",
        "times A02 TT-BESOK",
    ]
    assert world.store.catalogue(NORR).units == (unit(), unit(OTHER_UNIT))
    (asked,) = world.adapter.asked(GetAllHealthcareFacilities)
    assert (asked.unit, asked.actor) == (UNIT, Actor.agent(AGENT))


def test_a_unit_of_another_source_is_left_out_and_named() -> None:
    """The longest prefix decides; one of no prefix, or a malformed one, is lost."""
    syd = southern_source()
    world = World(
        source=source(
            units=(),
            units_from=UNIT,
            prefixes=("SE2321000",),
            budget=AS_FAST_AS_CAN_BE,
            horizon=timedelta(1),
        ),
        adapter=AnsweringAdapter(
            units=(unit(), unit(SOUTHERN_UNIT), unit("SE5561234567-A01")),
            rejected={GetAllHealthcareFacilities: ("healthcareFacilityInfos[4]: bad",)},
        ),
        others=(syd,),
    )
    world.run_once()
    lost = Loss(
        interaction=scheduling.GET_ALL_HEALTHCARE_FACILITIES,
        unit=UNIT,
        reason="healthcareFacilityInfos[4]: bad",
        count=1,
    )

    assert world.store.catalogue(NORR).units == (unit(),)
    assert world.store.catalogue(NORR).losses == (
        lost,
        replace(lost, reason="a unit has none of the configured prefixes"),
        replace(
            lost,
            reason="SE2321000099-B01 belongs to the source syd",
            is_elsewhere=True,
        ),
    )


# What is lost


TIMES_LOST = Loss(
    interaction=scheduling.GET_AVAILABLE_TIMESLOTS,
    unit=UNIT,
    time_type_id=VISIT,
    reason="malformed: endTimeExclusive: not an end",
    count=2,
)


def test_losses_are_reported_by_contract_unit_and_reason(world: World) -> None:
    """The status has every loss: of times, of time types, of staff."""
    world.adapter.rejected = {
        GetAvailableTimeslots: ("endTimeExclusive: not an end",) * 2,
        GetAllTimeTypes: ("timeTypeId: is missing",),
        GetAllPerformers: ("perfomer: not an HSA-id",),
    }
    world.run_once()
    of_unit = replace(TIMES_LOST, time_type_id=None, count=1)

    assert world.store.status(NORR).losses == (
        TIMES_LOST,
        replace(
            of_unit,
            interaction=scheduling.GET_ALL_TIME_TYPES,
            reason="timeTypeId: is missing",
        ),
        replace(
            of_unit,
            interaction=scheduling.GET_ALL_PERFORMERS,
            reason="perfomer: not an HSA-id",
        ),
    )


def test_a_past_time_is_no_loss(world: World) -> None:
    """Nobody can book it any more."""
    world.adapter.timeslots = [timeslot(-1)]
    world.run_once()

    assert world.store.status(NORR).losses == ()


def test_a_loss_is_logged_once_and_its_end_once(world: World) -> None:
    """Each refresh that loses the same says nothing; how many are lost is no news."""
    world.adapter.rejected = {GetAvailableTimeslots: ("endTimeExclusive: not an end",)}
    with capture_logs() as logs:
        world.run_once()
        world.adapter.rejected[GetAvailableTimeslots] *= 2
        for _ in range(3):
            world.clock.forward(minutes=4)
            world.run_once()
        world.adapter.rejected.clear()
        world.clock.forward(minutes=4)
        world.run_once()

    asked = {
        "source": NORR,
        "interaction": "GetAvailableTimeslots",
        "unit": UNIT,
        "time_type": VISIT,
    }
    assert logs == [
        {
            "event": "answer read in part",
            "log_level": "warning",
            **asked,
            "reasons": ["malformed: endTimeExclusive: not an end"],
            "items": 1,
        },
        {"event": "answer read whole again", "log_level": "info", **asked},
    ]


def test_a_time_outside_one_window_that_another_has_is_no_loss() -> None:
    """A source that lists everything in each window loses nothing by it."""
    world = World(
        source=source(
            budget=AS_FAST_AS_CAN_BE, horizon=timedelta(5), window=timedelta(3)
        ),
        adapter=CarelessAdapter(supports=WITHOUT_DATES, time_types={UNIT: (VISITS,)}),
    )
    world.adapter.timeslots = [timeslot(3), timeslot(3 + 24 * 4)]
    world.run_once()

    assert (len(world.block().rows), world.block().rejected) == (2, {})


def test_losses_outlive_a_restart(world: World) -> None:
    """What an earlier run has learnt of the catalogue comes with its losses."""
    world.adapter.rejected = {GetAllTimeTypes: ("timeTypeId: is missing",)}
    world.run_once()
    before = world.store.status(NORR).losses
    world.another().run_once()

    assert world.store.status(NORR).losses == before


# When it goes wrong


def failing(world: World, *interactions: Interaction) -> None:
    """Let a source fail from now on."""
    world.adapter.errors = dict.fromkeys(interactions or scheduling.INTERACTIONS, FAULT)


def test_a_failing_source_says_so(world: World) -> None:
    """The status says since when, and what went wrong last."""
    failing(world)
    with capture_logs() as logs:
        world.run_once()

    assert world.store.status(NORR) == SourceStatus(
        source=NORR,
        last_answer_at=None,
        failing_since=NOW,
        last_error=str(FAULT),
        reported_at=NOW,
        worker="worker-1",
        failing=(
            FailingQuestion(unit=UNIT, time_type_id=None, since=NOW, error=str(FAULT)),
        ),
        broken=("GetAllTimeTypes", "GetAllPerformers"),
        calls_last_minute=2,
        questions=2,
        unanswered=2,
    )
    assert logs == [
        {
            "event": "source does not answer",
            "log_level": "warning",
            "source": "norr",
            "error": str(FAULT),
        }
    ]


def test_a_source_recovers(world: World) -> None:
    """One answer ends a failure, and is reported at once."""
    failing(world)
    world.run_once()
    world.adapter.errors = {}
    world.clock.forward(minutes=1)
    with capture_logs() as logs:
        world.run_once()

    assert world.store.status(NORR) == SourceStatus(
        source=NORR,
        last_answer_at=world.clock(),
        failing_since=None,
        last_error=None,
        reported_at=world.clock(),
        worker="worker-1",
        calls_last_minute=3,
        questions=3,
        oldest_answer_at=world.clock(),
    )
    assert [each["event"] for each in logs] == ["source answers again"]


def test_a_failure_lasts_from_its_first_moment(world: World) -> None:
    """failing_since is when the present run of failures began."""
    failing(world)
    world.run_once()
    world.clock.forward(minutes=1)
    world.run_once()

    status = world.store.status(NORR)
    assert (status.failing_since, status.last_answer_at) == (NOW, None)


def test_what_failed_waits_longer_each_time(world: World) -> None:
    """After 2, 4, 8 … seconds, and in the end once in a tenth of its freshness."""
    failing(world)
    waits = []
    world.run_once()
    for _ in range(8):
        waited = 0
        while True:
            world.clock.forward(seconds=1)
            waited += 1
            if world.run_once():
                break
        waits.append(waited)

    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_failure_keeps_the_last_block(world: World) -> None:
    """What was answered before stands until it is too old."""
    world.adapter.timeslots = [timeslot(3)]
    world.run_once()
    failing(world)
    world.clock.forward(minutes=4)
    world.run_once()

    assert len(world.block().rows) == 1
    assert world.block().answered_at == NOW


def test_one_failing_time_type_stops_no_other() -> None:
    """Other units and types are asked all the same."""
    world = World(
        adapter=AnsweringAdapter(time_types={UNIT: (VISITS, COVIDS)}),
    )

    def before(interaction: Interaction) -> None:
        call = world.adapter.calls[-1]
        if interaction == scheduling.GET_AVAILABLE_TIMESLOTS and (
            call.time_type_id == COVID
        ):
            raise FAULT

    world.adapter.before = before
    world.run_once()

    assert world.store.block_keys() == [KEY]


def test_a_window_that_fails_spoils_its_block() -> None:
    """A block is of the whole horizon, or it is not stored."""
    world = World(
        source=source(
            budget=AS_FAST_AS_CAN_BE,
            horizon=timedelta(days=3),
            window=timedelta(days=2),
        )
    )
    world.adapter.before = lambda interaction: _fail_second_window(world, interaction)
    world.run_once()

    assert len(world.adapter.asked(GetAvailableTimeslots)) == 2
    assert world.store.block_keys() == []


def _fail_second_window(world: World, _: Interaction) -> None:
    if len(world.adapter.asked(GetAvailableTimeslots)) == 2:
        raise FAULT


def test_a_store_that_is_away_is_no_fault_of_the_sources() -> None:
    """What cannot be stored is asked again later; the source is not blamed."""
    store = LeavingStore(MemorySlotStore())
    store.away = {"put_block", "put_catalogue", "block_keys", "catalogue"}
    world = World(store=store)
    world.run_once()
    store.away = set()
    world.clock.forward(minutes=1)
    world.run_once()

    status = world.store.status(NORR)
    assert (status.failing_since, status.last_error) == (None, None)
    assert world.store.block_keys() == [KEY]


def test_a_region_is_not_asked_for_what_cannot_be_kept() -> None:
    """While the store takes nothing, no call is spent; the log says so once."""
    store = LeavingStore(MemorySlotStore())
    store.away = {"put_status", "put_block", "put_catalogue"}
    world = World(store=store)
    with capture_logs() as logs:
        while_away = [world.run_once() for _ in range(3)]
    store.away = set()
    world.clock.forward(minutes=1)
    with capture_logs() as later:
        world.run_once()

    assert [len(each) for each in while_away] == [1, 0, 0]
    assert [each["event"] for each in logs] == ["refresh cannot store"]
    assert [each["event"] for each in later] == ["refresh can store again"]
    assert world.store.block_keys() == [KEY]


def test_an_emptied_store_is_refilled() -> None:
    """Losing all of Redis costs a refill: the catalogue at once, then every block."""
    world = World()
    world.run_once()
    world.store.empty()
    world.clock.forward(seconds=10)
    world.run_once()
    found = world.store.catalogue(NORR), world.store.block_keys()
    assert [short(each) for each in world.run_once()] == ["times A01 TT-BESOK"]

    reported = catalogue(units=(unit(),), answered_at=NOW + timedelta(seconds=10))
    assert found == (reported, [])
    assert world.store.block_keys() == [KEY]


# After a restart


def test_it_goes_on_where_it_stopped(world: World) -> None:
    """What was stored young enough is not asked for again."""
    world.run_once()
    world.clock.forward(minutes=1)
    world.refresh = world.another()

    assert world.run_once() == []


def test_what_is_old_is_due_after_a_restart(world: World) -> None:
    """A stored block that has grown old is asked for first."""
    world.run_once()
    world.clock.forward(minutes=4)
    world.refresh = world.another()

    assert [short(each) for each in world.run_once()] == ["times A01 TT-BESOK"]


def test_earlier_schedules_survive_a_restart(world: World) -> None:
    """What a client knew before the restart can still be read."""
    room = schedule(resource_id=ResourceId("1"))
    world.adapter.timeslots = [timeslot(4, of=room)]
    world.run_once()
    world.adapter.timeslots = []
    world.clock.forward(minutes=4)
    world.refresh = world.another()
    world.run_once()

    assert world.block().schedules == (room,)


def test_another_sources_blocks_are_not_its_own(world: World) -> None:
    """Only what the source itself has stored counts as answered."""
    southern = BlockKey(source=SYD, unit=UNIT, time_type_id=VISIT)
    world.store.put_block(block([], key=southern))

    assert len(world.run_once()) == 3


def test_a_unit_that_is_not_configured_any_more_is_dropped() -> None:
    """A unit that was taken out of the configuration is asked about no more."""
    both = [(VISIT, "Besök")]
    world = World()
    world.store.put_catalogue(
        catalogue({UNIT: both, OTHER_UNIT: both}, answered_at=NOW - timedelta(hours=7))
    )
    asked = world.run_once()

    assert OTHER_UNIT not in {each.unit for each in asked}
    assert world.store.catalogue(NORR).units == (unit(),)
    assert world.store.catalogue(NORR).time_types.keys() == {UNIT}


def test_without_a_store_it_starts_from_nothing() -> None:
    """A store that is away when it starts is no hindrance."""
    store = LeavingStore(MemorySlotStore())
    store.away = {"block_keys"}
    world = World(store=store)
    with capture_logs() as logs:
        asked = world.run_once()

    assert len(asked) == 3
    assert logs[0] == {
        "event": "refresh starts from nothing",
        "log_level": "warning",
        "source": "norr",
        "reason": "Redis: ConnectionError",
    }


# The loop


def run_until(world: World, holds: Any, *, within_s: float = 5.0) -> float:
    """Run the refresh until something holds; return how long it took."""
    deadline = LeaseDeadline()
    thread = threading.Thread(target=world.refresh.run, args=(deadline,))
    began = monotonic()
    thread.start()
    pause = threading.Event()
    while not holds() and monotonic() - began < within_s:
        pause.wait(0.005)
    took = monotonic() - began
    deadline.end()
    thread.join()
    assert holds()
    return took


def test_the_loop_asks_everything(world: World) -> None:
    """Running in a thread it asks the same as at once, and ends on request."""
    run_until(world, lambda: world.store.block_keys() == [KEY])

    first, *others = [short(each) for each in world.adapter.calls]
    # Two calls in flight begin in either order.
    assert (first, "times A01 TT-BESOK" in others) == ("time types A01", True)


def test_the_loop_keeps_to_the_budget() -> None:
    """Calls leave at an even rate, however fast the source answers."""
    world = World(
        source=source(
            budget=Budget(calls_per_second=50.0, calls_in_flight=4),
            horizon=timedelta(days=20),
            window=timedelta(days=1),
        )
    )
    world.adapter.supports = WITHOUT_DATES
    at: list[float] = []
    world.adapter.before = lambda _: at.append(monotonic())

    run_until(world, lambda: len(at) >= 21)

    assert 0.9 * 20 / 50 <= at[20] - at[0] < 2


def test_no_more_calls_are_in_flight_than_allowed() -> None:
    """A slow source is asked so many things at once and no more."""
    time_types = tuple(
        TimeType(id=TimeTypeId(f"TT-{number}"), name=str(number)) for number in range(8)
    )
    world = World(
        source=source(budget=AS_FAST_AS_CAN_BE, horizon=timedelta(days=1)),
        adapter=AnsweringAdapter(time_types={UNIT: time_types}),
    )
    at_once = threading.Barrier(2)
    lock = threading.Lock()
    counts: list[int] = []
    under_way = 0

    def before(interaction: Interaction) -> None:
        nonlocal under_way
        if interaction != scheduling.GET_AVAILABLE_TIMESLOTS:
            return
        with lock:
            under_way += 1
            counts.append(under_way)
        at_once.wait(5)
        with lock:
            under_way -= 1

    world.adapter.before = before

    run_until(world, lambda: len(world.store.block_keys()) == 8)

    assert max(counts) == 2


class SlowToStore(MemorySlotStore):
    """A store that takes longer for the first catalogue than for a second."""

    def __init__(self) -> None:
        super().__init__()
        self._began: list[SourceCatalogue] = []
        self._second = threading.Event()

    def put_catalogue(self, catalogue: SourceCatalogue) -> None:
        """Replace a catalogue."""
        self._began.append(catalogue)
        if len(self._began) == 1:
            self._second.wait(0.3)
        super().put_catalogue(catalogue)
        self._second.set()


def test_the_last_offer_is_the_one_that_stands() -> None:
    """Of two units that answer at once neither is lost from the catalogue."""
    world = World(
        source=source(
            budget=AS_FAST_AS_CAN_BE,
            units=(unit(), unit(OTHER_UNIT)),
            horizon=timedelta(days=1),
        ),
        adapter=AnsweringAdapter(time_types={UNIT: (VISITS,), OTHER_UNIT: (VISITS,)}),
        store=SlowToStore(),
    )

    run_until(world, lambda: world.store.puts["SourceCatalogue"] == 4)

    assert world.store.catalogue(NORR).time_types.keys() == {UNIT, OTHER_UNIT}


def test_stopping_does_not_wait_for_the_budget() -> None:
    """Nothing waits for a call that the pace allows much later only."""
    world = World(source=source(budget=Budget(calls_per_second=0.01)))

    began = monotonic()
    run_until(world, lambda: len(world.adapter.calls) == 1)

    assert monotonic() - began < 5
    assert [short(each) for each in world.adapter.calls] == ["time types A01"]


def test_a_fault_of_our_own_is_logged_and_not_repeated_at_once() -> None:
    """A programming error in an adapter stops no other task and makes no hot loop."""
    world = World()

    def before(interaction: Interaction) -> None:
        if interaction == scheduling.GET_AVAILABLE_TIMESLOTS:
            raise ZeroDivisionError(TOLVAN.reveal())

    world.adapter.before = before
    with capture_logs() as logs:
        run_until(world, lambda: world.store.status(NORR) is not None)

    assert len(world.adapter.asked(GetAvailableTimeslots)) <= 1
    assert all(TOLVAN.reveal() not in str(each) for each in logs)


def test_a_fault_of_our_own_is_logged_by_its_kind() -> None:
    """The log says which source and what kind of error, and no text."""
    world = World()
    broken = threading.Event()

    def before(interaction: Interaction) -> None:
        if interaction == scheduling.GET_ALL_TIME_TYPES:
            broken.set()
            raise ZeroDivisionError(TOLVAN.reveal())

    world.adapter.before = before
    with capture_logs() as logs:
        run_until(world, broken.is_set)

    assert logs == [
        {
            "event": "refresh failed",
            "log_level": "error",
            "source": "norr",
            "kind": "ZeroDivisionError",
        }
    ]


def test_an_unavailable_store_is_not_the_sources_failure_in_the_loop() -> None:
    """The source's error is its own: a store's differs."""
    world = World()
    world.adapter.errors = {
        scheduling.GET_ALL_TIME_TYPES: StoreUnavailable("Redis: ReadOnlyError")
    }
    with capture_logs() as logs:
        world.run_once()

    assert [each["event"] for each in logs][:1] == ["refresh cannot store"]
    assert world.store.status(NORR).failing == ()


def test_a_source_that_is_down_is_unavailable(world: World) -> None:
    """A source that cannot be reached at all is reported like one that faults."""
    world.adapter.errors = dict.fromkeys(
        scheduling.INTERACTIONS,
        Unavailable("The source did not answer in time.", source=NORR),
    )
    world.run_once()

    assert world.store.status(NORR).last_error == (
        "The source did not answer in time. (source norr)"
    )


# Failing in part, and as a whole

TEN_UNITS = tuple(unit(f"SE2321000016-U{number:02}") for number in range(10))


def ten_units(failing: set[HsaId] = frozenset(), **changed: Any) -> World:  # type: ignore[assignment] # read only
    """Return a world of ten units with one time type each, some of which fail."""
    world = World(
        source=source(
            budget=AS_FAST_AS_CAN_BE, units=TEN_UNITS, horizon=timedelta(1), **changed
        ),
        adapter=AnsweringAdapter(
            time_types={each.hsa_id: (VISITS,) for each in TEN_UNITS}
        ),
    )

    def before(interaction: Interaction) -> None:
        call = world.adapter.calls[-1]
        if interaction == scheduling.GET_AVAILABLE_TIMESLOTS and call.unit in failing:
            raise FAULT

    world.adapter.before = before
    return world


def test_one_failing_unit_does_not_make_its_source_fail() -> None:
    """The source answers; the unit that does not is reported by itself, once."""
    failing_unit = TEN_UNITS[3].hsa_id
    world = ten_units({failing_unit})
    with capture_logs() as logs:
        for _ in range(12):
            world.run_once()
            world.clock.forward(seconds=30)
    world.run_once()
    status = world.store.status(NORR)

    assert (status.failing_since, status.broken) == (None, ())
    assert status.failing == (
        FailingQuestion(
            unit=failing_unit, time_type_id=VISIT, since=NOW, error=str(FAULT)
        ),
    )
    assert logs == [
        {
            "event": "unit does not answer",
            "log_level": "warning",
            "source": "norr",
            "unit": failing_unit,
            "time_type": VISIT,
            "error": str(FAULT),
        }
    ]


def test_an_interaction_that_fails_as_a_whole_is_left_alone() -> None:
    """After five different failures nothing more is asked; time types still are."""
    world = ten_units({each.hsa_id for each in TEN_UNITS})
    world.run_once()
    status = world.store.status(NORR)

    assert len(world.adapter.asked(GetAvailableTimeslots)) == 5
    assert len(world.adapter.asked(GetAllTimeTypes)) == 10
    assert (status.failing_since, status.broken) == (NOW, ("GetAvailableTimeslots",))


def test_a_broken_interaction_is_tried_by_one_probe() -> None:
    """After the pause one question is asked, and the answer opens the way."""
    failing_units = {each.hsa_id for each in TEN_UNITS}
    world = ten_units(failing_units)
    world.run_once()
    world.clock.forward(seconds=2)
    probe = [short(each) for each in world.run_once()]
    failing_units.clear()
    world.clock.forward(seconds=4)
    asked = world.run_once()

    assert len(probe) == 1
    assert len(asked) == 10
    assert world.store.status(NORR).failing_since is None


def test_staff_that_cannot_be_had_do_not_keep_times_away() -> None:
    """A source with a failing GetAllPerformers is still refreshed."""
    world = ten_units()
    failing(world, scheduling.GET_ALL_PERFORMERS)
    world.run_once()
    status = world.store.status(NORR)

    assert len(world.store.block_keys()) == 10
    assert (status.failing_since, status.broken) == (None, ("GetAllPerformers",))


def test_staff_that_cannot_be_had_are_reported_once() -> None:
    """The log and the status name what fails, and for which units."""
    world = World()
    failing(world, scheduling.GET_ALL_PERFORMERS)
    with capture_logs() as logs:
        for _ in range(3):
            world.run_once()
            world.clock.forward(minutes=5)
        status = world.store.status(NORR)
        world.adapter.errors = {}
        world.run_once()

    assert (status.silent_staff, status.last_error) == ((UNIT,), str(FAULT))
    assert world.store.status(NORR).silent_staff == ()
    assert [each for each in logs if each["event"].startswith("contract")] == [
        {
            "event": "contract does not answer",
            "log_level": "warning",
            "source": NORR,
            "contract": "GetAllPerformers",
            "error": str(FAULT),
        },
        {
            "event": "contract answers again",
            "log_level": "info",
            "source": NORR,
            "contract": "GetAllPerformers",
        },
    ]


def test_staff_that_could_not_be_had_are_asked_for_after_a_restart() -> None:
    """The catalogue does not say which units' staff are known; the status does."""
    world = World()
    failing(world, scheduling.GET_ALL_PERFORMERS)
    world.run_once()
    world.adapter.errors = {}
    world.refresh = world.another()

    assert "staff A01" in [short(each) for each in world.run_once()]
    assert world.store.status(NORR).silent_staff == ()


def test_a_source_that_never_says_which_units_it_has_fails() -> None:
    """Where not even the units are known, that is the source's failure."""
    world = World(
        source=source(units=(), units_from=UNIT, budget=AS_FAST_AS_CAN_BE),
    )
    failing(world)
    world.run_once()

    assert world.store.status(NORR).failing_since == NOW


# Dates first


def three_windows(*timeslots: Any, **changed: Any) -> World:
    """Return a world in which nine days and today take four windows."""
    world = World(
        source=source(
            budget=AS_FAST_AS_CAN_BE,
            horizon=timedelta(days=9),
            window=timedelta(days=3),
            **changed,
        )
    )
    world.adapter.timeslots = list(timeslots)
    return world


def periods(world: World, kind: type) -> list[tuple[int, int]]:
    """Return the periods asked for, in days from today."""
    today = date(2026, 3, 2)
    return [
        ((each.first_day - today).days, (each.last_day - today).days)
        for each in world.adapter.asked(kind)
    ]


def test_dates_come_first_where_that_saves_calls() -> None:
    """The days with times are asked for in one call, then only the windows of those."""
    world = three_windows(timeslot(3), timeslot(24 * 5))
    world.run_once()

    (asked,) = world.adapter.asked(GetAvailableDates)
    assert (asked.actor, asked.subject_of_care) == (Actor.agent(AGENT), TOLVAN)
    assert periods(world, GetAvailableDates) == [(0, 9)]
    assert periods(world, GetAvailableTimeslots) == [(0, 2), (5, 7)]
    assert len(world.block().rows) == 2


def test_no_dates_are_no_times() -> None:
    """A source without any date is asked one thing, and the block is empty."""
    world = three_windows()
    world.run_once()

    assert world.adapter.asked(GetAvailableTimeslots) == []
    assert len(world.block().rows) == 0


def test_dates_are_not_asked_for_where_every_window_has_times() -> None:
    """The last list shows that a call for the dates would save none."""
    world = three_windows(*(timeslot(3 + 24 * day) for day in range(10)))
    world.run_once()
    world.adapter.calls.clear()
    world.clock.forward(minutes=5)
    world.run_once()

    assert periods(world, GetAvailableDates) == []
    assert periods(world, GetAvailableTimeslots) == [(0, 2), (3, 5), (6, 8), (9, 9)]


@pytest.mark.parametrize(
    ("answer", "reason", "count"),
    [
        pytest.param(
            Listed((), ("performerAvailabilityByDate/date: not a date",) * 2),
            "performerAvailabilityByDate/date: not a date",
            2,
            id="malformed",
        ),
        pytest.param(
            Listed(
                (
                    AvailableDate(
                        schedule=schedule(time_type=COVID), day=date(2026, 3, 2)
                    ),
                )
            ),
            "of another time type",
            1,
            id="of another time type",
        ),
        pytest.param(
            Listed((AvailableDate(schedule=schedule(), day=date(2026, 3, 12)),)),
            "outside the days asked for",
            1,
            id="outside",
        ),
    ],
)
def test_dates_in_doubt_cost_no_times(
    answer: Listed[AvailableDate], reason: str, count: int
) -> None:
    """Where a date cannot be used every window is asked for, and the status says so."""
    world = three_windows(timeslot(3))
    world.adapter.get_available_dates = lambda *_, **__: answer  # type: ignore[method-assign] # one answer of this test
    world.run_once()

    assert periods(world, GetAvailableTimeslots) == [(0, 2), (3, 5), (6, 8), (9, 9)]
    assert world.store.status(NORR).losses == (
        Loss(
            interaction=scheduling.GET_AVAILABLE_DATES,
            unit=UNIT,
            time_type_id=VISIT,
            reason=reason,
            count=count,
        ),
    )


def test_without_dates_every_window_is_asked_for() -> None:
    """A source with a failing GetAvailableDates loses nothing by it."""
    world = three_windows(timeslot(3))
    failing(world, scheduling.GET_AVAILABLE_DATES)
    world.run_once()

    assert periods(world, GetAvailableTimeslots) == [(0, 2), (3, 5), (6, 8), (9, 9)]
    assert world.store.status(NORR).failing_since is None


# Suspicion


def test_sudden_emptiness_is_asked_twice(world: World) -> None:
    """The last block stands until the source has said it again."""
    world.adapter.timeslots = [timeslot(3)]
    world.run_once()
    world.adapter.timeslots = []
    world.clock.forward(minutes=4)
    with capture_logs() as logs:
        asked = world.run_once()
    doubted = world.block()
    world.clock.forward(seconds=30)
    again = world.run_once()

    assert [short(each) for each in asked] == ["times A01 TT-BESOK"]
    assert (len(doubted.rows), doubted.answered_at) == (1, NOW)
    assert [each["event"] for each in logs] == ["answer not believed yet"]
    assert [short(each) for each in again] == ["times A01 TT-BESOK"]
    assert len(world.block().rows) == 0


def test_emptiness_that_was_a_mistake_costs_nothing(world: World) -> None:
    """Times that are back at the second look were never gone."""
    world.adapter.timeslots = [timeslot(3)]
    world.run_once()
    world.adapter.timeslots = []
    world.clock.forward(minutes=4)
    world.run_once()
    world.adapter.timeslots = [timeslot(3), timeslot(4)]
    world.clock.forward(seconds=30)
    world.run_once()

    assert len(world.block().rows) == 2


def test_an_absurd_size_is_refused_and_reported() -> None:
    """The last believed block stays and ages; the status says why."""
    world = World(source=source(budget=AS_FAST_AS_CAN_BE, most_slots=3))
    world.adapter.timeslots = [timeslot(3)]
    world.run_once()
    world.adapter.timeslots = [timeslot(hours) for hours in range(3, 7)]
    world.clock.forward(minutes=4)
    world.run_once()
    status = world.store.status(NORR)

    assert (len(world.block().rows), world.block().answered_at) == (1, NOW)
    assert status.failing_since is None
    assert [each.error for each in status.failing] == [
        (
            "The source lists 4 free times of one time type; at most 3 are believed"
            " (most_slots)."
        )
    ]


# Refresh hints


def test_what_clients_ask_for_comes_first() -> None:
    """A hint in the store moves a time type to the front."""
    world = ten_units()
    world.run_once()
    world.clock.forward(minutes=5)
    world.hints.add(NORR, [(TEN_UNITS[7].hsa_id, VISIT)])

    assert short(world.run_once()[0]) == "times U07 TT-BESOK"


# The lease deadline


def test_an_answer_that_comes_after_the_deadline_is_not_stored() -> None:
    """The worker that has the source by now may have newer times."""
    world = World()
    deadline = LeaseDeadline()

    def before(interaction: Interaction) -> None:
        if interaction == scheduling.GET_AVAILABLE_TIMESLOTS:
            deadline.end()

    world.adapter.before = before
    world.refresh.run(deadline)

    assert len(world.adapter.asked(GetAvailableTimeslots)) == 1
    assert world.store.block_keys() == []


def test_no_call_is_made_after_the_deadline() -> None:
    """A deadline that has run out lets nothing be asked."""
    world = World()
    world.refresh.run(LeaseDeadline(until=0.0))

    assert world.adapter.calls == []


def test_a_live_source_is_asked_for_its_offer_alone() -> None:
    """Its free times are never kept."""
    world = World(source=source(budget=AS_FAST_AS_CAN_BE, mode=Mode.LIVE))

    assert [short(each) for each in world.run_once()] == ["time types A01", "staff A01"]


# The status


def test_the_status_counts() -> None:
    """It says how much there is, how old, and what was left out and why."""
    world = World(
        adapter=AnsweringAdapter(time_types={UNIT: (VISITS, COVIDS)}, is_careless=True),
        meanings={(UNIT, COVID): (VACCINATION,)},
    )
    world.adapter.timeslots = [
        timeslot(3),
        timeslot(4, of=schedule(time_type=COVID, name="Covid")),
        timeslot(5, of=schedule(time_type=COVID, name="Covid")),
    ]
    world.run_once()
    status = world.store.status(NORR)

    assert (status.slots, status.oldest_answer_at, status.questions) == (3, NOW, 4)
    assert status.rejected == {"of another time type": 3, "unmapped": 1}
    assert (status.unanswered, status.calls_last_minute) == (0, 4)


def test_what_a_booking_found_wrong_is_asked_for_again(world: World) -> None:
    """The agent's answer, and nobody else's, replaces the block."""
    world.adapter.timeslots = [timeslot(30), timeslot(31)]
    world.run_once()
    world.clock.forward(minutes=1)
    world.adapter.timeslots = [timeslot(31)]
    before = world.run_once()

    world.rechecks.add(KEY.source, [(KEY.unit, KEY.time_type_id)])
    world.clock.forward(seconds=2)
    asked = world.run_once()

    assert before == []
    assert [type(each) for each in asked] == [GetAvailableTimeslots]
    assert {each.actor for each in asked} == {Actor.agent(world.source.agent)}
    assert [int(each) for each in world.block().rows["start"]] == [
        int(timeslot(31).start.timestamp())
    ]
