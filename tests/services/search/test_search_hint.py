"""
What searches note of ageing times, and how the workers get it.
"""

from datetime import timedelta
from time import monotonic
from typing import Any

import numpy as np
import pytest
from builders import (
    COVID,
    NORR,
    NOW,
    OTHER_UNIT,
    UNIT,
    VISIT,
    block,
    catalogue,
    source,
    unit,
)
from doubles import LeavingStore, MemoryRefreshHints, MemorySlotStore, MovableClock
from structlog.testing import capture_logs

from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.source import SourceProblem
from fhir_gateway.services.search.search_hint import SearchHints
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.stores.refresh_hint import RefreshHint
from fhir_gateway.stores.slot_block import BlockKey
from fhir_gateway.stores.source_status import FailingQuestion, SourceStatus

UNITS = (UNIT, OTHER_UNIT)


class World:
    """norr with two units of two time types, and searches that note."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.store = MemorySlotStore()
        self.reported = MemoryRefreshHints()
        self.hints = SearchHints(self.reported)
        norr = source(units=tuple(unit(each) for each in UNITS))
        self.view = SlotView([norr], {}, self.store, dict, clock=self.clock)
        self.search = SlotSearch(
            self.view, {NORR: norr}, hints=self.hints, clock=self.clock
        )
        both = [(VISIT, "Besök"), (COVID, "Covid")]
        self.store.put_catalogue(catalogue(dict.fromkeys(UNITS, both)))
        for hsa_id in UNITS:
            for time_type_id in (VISIT, COVID):
                self.answered(hsa_id, time_type_id)

    def answered(
        self, hsa_id: HsaId, time_type_id: TimeTypeId, *, minutes_ago: float = 0
    ) -> None:
        """Let a time type have been listed so long ago."""
        key = BlockKey(source=NORR, unit=hsa_id, time_type_id=time_type_id)
        at = NOW - timedelta(minutes=minutes_ago)
        self.store.put_block(block([], key=key, answered_at=at))

    def wanted(self, **criteria: Any) -> set[RefreshHint]:
        """Search, and return the hints that the workers get then."""
        self.view.catch_up()
        self.search.search(SlotCriteria(selector=Selector(**criteria)))
        self.hints.send()
        return set(self.reported.take(NORR))


@pytest.fixture(name="world")
def _world() -> World:
    return World()


def test_fresh_times_are_not_noted(world: World) -> None:
    """Where all is well there are no hints."""
    assert world.wanted() == set()


def test_what_is_older_than_fresh_is_noted(world: World) -> None:
    """The ageing time type alone, of those that were searched."""
    world.answered(UNIT, VISIT, minutes_ago=11)

    assert world.wanted() == {(UNIT, VISIT)}


def test_what_is_offered_no_more_is_noted(world: World) -> None:
    """A search that misses something wants it the more."""
    world.answered(UNIT, VISIT, minutes_ago=31)

    assert world.wanted() == {(UNIT, VISIT)}


def test_what_was_never_listed_is_noted() -> None:
    """A time type without a block is wanted too."""
    world = World()
    both = [(VISIT, "Besök"), (COVID, "Covid"), ("TT-NEW", "Nytt")]
    world.store.put_catalogue(catalogue({UNIT: both, OTHER_UNIT: both[:2]}))

    assert world.wanted() == {(UNIT, TimeTypeId("TT-NEW"))}


def test_only_what_was_searched_for_is_noted(world: World) -> None:
    """Another unit's ageing times are not asked for by this search."""
    for hsa_id in UNITS:
        world.answered(hsa_id, VISIT, minutes_ago=11)

    assert world.wanted(units=(frozenset({OTHER_UNIT}),)) == {(OTHER_UNIT, VISIT)}


def test_a_note_is_sent_once(world: World) -> None:
    """A hint that was sent is not sent again without another search."""
    world.answered(UNIT, VISIT, minutes_ago=11)
    world.wanted()
    world.hints.send()

    assert world.reported.take(NORR) == frozenset()


def test_hints_that_cannot_be_sent_are_dropped_and_logged_once(world: World) -> None:
    """Searches go on, and the log says so once until it works again."""
    away = LeavingStore(MemoryRefreshHints())  # type: ignore[arg-type] # its methods are these
    away.away = {"add"}
    hints = SearchHints(away)
    world.view.catch_up()
    index = world.view.snapshot.index
    with capture_logs() as logs:
        for _ in range(3):
            hints.note(NORR, index, index.all)
            hints.send()

    assert [each["event"] for each in logs] == ["searches cannot send refresh hints"]


def test_notes_are_bounded(world: World) -> None:
    """However many come before they are sent, few are kept and few are sent."""
    world.view.catch_up()
    index = world.view.snapshot.index
    for _ in range(10_000):
        world.hints.note(NORR, index, index.all)
    world.hints.note(NORR, index, np.repeat(index.all, 1_000))
    world.hints.send()

    assert len(world.reported.take(NORR)) <= 4


def test_the_thread_tells_by_itself(world: World) -> None:
    """Started, it sends within a second or two, and stops on request."""
    world.view.catch_up()
    index = world.view.snapshot.index
    world.hints.start()
    world.hints.note(NORR, index, index.all)
    deadline = monotonic() + 5
    while not world.reported.wanted and monotonic() < deadline:
        world.hints._stopped.wait(0.01)
    world.hints.stop()

    assert len(world.reported.take(NORR)) == 4


# What does not answer, though its source does


def failing(*questions: tuple[HsaId, TimeTypeId | None]) -> SourceStatus:
    """Return a status of a source that answers but for some things."""
    return SourceStatus(
        source=NORR,
        last_answer_at=NOW,
        failing_since=None,
        last_error="It faults.",
        failing=tuple(
            FailingQuestion(unit=hsa_id, time_type_id=code, since=NOW, error="It.")
            for hsa_id, code in questions
        ),
    )


def outcomes(world: World, **criteria: Any) -> list[tuple[SourceProblem, str]]:
    """Return what a search says is missing."""
    world.view.catch_up()
    page = world.search.search(SlotCriteria(selector=Selector(**criteria)))
    return [(each.problem, each.detail) for each in page.outcomes]


def test_a_failing_time_type_that_was_answered_is_served(world: World) -> None:
    """While its last answer is fresh nothing is missing."""
    world.store.put_status(failing((UNIT, VISIT)))

    assert outcomes(world) == []


def test_a_time_type_that_never_answers_is_named_as_such() -> None:
    """It was asked and does not answer: that is not 'not yet asked'."""
    world = World()
    both = [(VISIT, "Besök"), (COVID, "Covid"), ("TT-NEW", "Nytt")]
    world.store.put_catalogue(catalogue({UNIT: both, OTHER_UNIT: both[:2]}))
    world.store.put_status(failing((UNIT, TimeTypeId("TT-NEW"))))

    assert outcomes(world) == [
        (
            SourceProblem.UNAVAILABLE,
            "Region Norr does not answer for 1 of its time types.",
        )
    ]
    assert outcomes(world, units=(frozenset({OTHER_UNIT}),)) == []


def test_a_unit_that_never_says_what_it_offers_is_named_as_such() -> None:
    """Only where that unit can fit."""
    world = World()
    world.store.put_catalogue(
        catalogue(
            {UNIT: [(VISIT, "Besök"), (COVID, "Covid")]},
            units=tuple(unit(each) for each in UNITS),
        )
    )
    world.store.put_status(failing((OTHER_UNIT, None)))

    assert outcomes(world) == [
        (SourceProblem.UNAVAILABLE, "Region Norr does not answer for 1 of its units.")
    ]
    assert outcomes(world, units=(frozenset({UNIT}),)) == []
