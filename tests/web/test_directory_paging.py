"""
Pages of the directory's searches stay true while units, services and staff change.
"""

from collections.abc import Iterable
from typing import Any, Final

import pytest
from builders import (
    COVID,
    NORR,
    OTHER_UNIT,
    PREFIX,
    UNIT,
    VISIT,
    block,
    catalogue,
    schedule,
    source,
    timeslot,
)
from doubles import MemorySlotStore, MovableClock
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir.table_query import Sort, TableQuery
from fhir_gateway.fhir.table_search import criteria_of, find_page
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.search.slot_view import SlotView
from fhir_gateway.stores.slot_block import BlockKey
from fhir_gateway.web.directory.routes import directory_schemas
from fhir_gateway.web.directory.world import DirectoryWorld, DirectoryWorlds

_SCHEMAS: Final = directory_schemas()
_UNITS: Final = (UNIT, OTHER_UNIT, HsaId(f"{PREFIX}A03"), HsaId(f"{PREFIX}A04"))
_NAMES: Final = {VISIT: "Besök", COVID: "Covid", TimeTypeId("TT-X"): "Besök"}
_STAFF: Final = (None, HsaId(f"{PREFIX}P01"), HsaId(f"{PREFIX}P02"))

# A member of staff, or nobody, with times of a time type at a unit.
Place = tuple[HsaId, TimeTypeId, HsaId | None]
_PLACES: Final = st.sets(
    st.tuples(
        st.sampled_from(_UNITS), st.sampled_from([*_NAMES]), st.sampled_from(_STAFF)
    ),
    max_size=14,
)


class World:
    """A source that lists its units itself."""

    def __init__(self) -> None:
        of = source(units=(), units_from=UNIT)
        clock = MovableClock()
        self.store = MemorySlotStore()
        self.view = SlotView([of], {}, self.store, dict, clock=clock)
        search = SlotSearch(self.view, {NORR: of}, clock=clock)
        self.worlds = DirectoryWorlds(search, Vocabulary())

    def with_places(self, places: Iterable[Place]) -> DirectoryWorld:
        """Return the directory after the source has listed these places alone."""
        offered: dict[HsaId, dict[TimeTypeId, list[HsaId | None]]] = {}
        for unit, time_type, performer in places:
            offered.setdefault(unit, {}).setdefault(time_type, []).append(performer)
        self.store.put_catalogue(
            catalogue(
                {
                    unit: [(each, _NAMES[each]) for each in of_unit]
                    for unit, of_unit in offered.items()
                }
            )
        )
        for unit, of_unit in offered.items():
            for time_type, staff in of_unit.items():
                times = [
                    timeslot(3, of=schedule(unit, time_type, performer=performer))
                    for performer in staff
                ]
                key = BlockKey(source=NORR, unit=unit, time_type_id=time_type)
                self.store.put_block(block(times, key=key))
        self.view.catch_up()
        return self.worlds.present()


def page_of(
    kind: str, world: DirectoryWorld, query: TableQuery, count: int
) -> tuple[list[str], Any]:
    """Return the ids on a page, and the cursor of the next one."""
    schema = _SCHEMAS[kind]
    criteria = criteria_of(schema, world, query)
    page = find_page(schema, world, query, criteria, count=count, is_counted=True)
    return [schema.table.id(world, row) for row in page.rows], page.next


def sorts_of(kind: str) -> st.SearchStrategy[tuple[Sort, ...]]:
    """Return the orders of a type: its own, and by each of its parameters."""
    by_one = st.builds(
        Sort, st.sampled_from(sorted(_SCHEMAS[kind].table.sorts)), st.booleans()
    )
    return st.lists(by_one, max_size=1).map(tuple)


def test_each_type_has_rows_that_come_and_go() -> None:
    """The world of the test below has rows of each type, and loses them."""
    made = World()
    places = {(unit, VISIT, _STAFF[1]) for unit in _UNITS}
    full = made.with_places(places)
    many = {kind: len(page_of(kind, full, TableQuery(), 9)[0]) for kind in _SCHEMAS}
    less = made.with_places(sorted(places)[:1])
    few = {kind: len(page_of(kind, less, TableQuery(), 9)[0]) for kind in _SCHEMAS}

    of_units = dict.fromkeys(
        (
            *("HealthcareService", "Schedule", "Location", "Organization"),
            "PractitionerRole",
        ),
        4,
    )
    assert many == {**of_units, "Practitioner": 1}
    assert few == dict.fromkeys(_SCHEMAS, 1)


@pytest.mark.parametrize("kind", _SCHEMAS)
@given(
    data=st.data(),
    throughout=_PLACES,
    stages=st.lists(_PLACES, min_size=1, max_size=5),
    count=st.integers(1, 4),
)
@settings(max_examples=examples(25), deadline=None)
def test_pages_stay_true_while_the_directory_changes(
    kind: str,
    *,
    data: st.DataObject,
    throughout: set[Place],
    stages: list[set[Place]],
    count: int,
) -> None:
    """Nothing is on two pages, and what was there throughout is on one."""
    sort = data.draw(sorts_of(kind))
    made = World()
    left = iter(stages)
    world = made.with_places(throughout | next(left))
    seen: list[str] = []
    present: list[set[str]] = []
    cursor = None
    while True:
        whole, _ = page_of(kind, world, TableQuery(sort=sort), 1000)
        present.append(set(whole))
        query = TableQuery(sort=sort, cursor=cursor)
        found, cursor = page_of(kind, world, query, count)
        assert found == [each for each in whole if each in set(found)]
        seen += found
        assert len(seen) == len(set(seen))
        if cursor is None:
            break
        # When nothing changes any more, the last state stays.
        following = next(left, None)
        if following is not None:
            world = made.with_places(throughout | following)

    assert set.intersection(*present) <= set(seen)
