"""
Searches over resource tables: pages stay true while rows come and go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.resource_table import (
    Candidates,
    Criterion,
    ResourceTable,
    ResourceTables,
)
from fhir_gateway.fhir.search_element import StringElement
from fhir_gateway.fhir.table_query import Sort, TableQuery, TableSchema
from fhir_gateway.fhir.table_search import criteria_of, find_page


@dataclass(frozen=True)
class Unit:
    """A row: names may be alike, ids are not."""

    id: str
    name: str


World = dict[str, Unit]


def _all(world: World, _: Sequence[Criterion]) -> Candidates[Unit]:
    rows = sorted(world.values(), key=lambda unit: (unit.name, unit.id))
    return Candidates(rows, ())


_TABLE: ResourceTable[World, Unit] = ResourceTable(
    type="Location",
    elements=(StringElement("name", lambda _, unit: (unit.name,), definition=None),),
    candidates=_all,
    row=lambda world, identifier: world.get(identifier),
    id=lambda _, unit: unit.id,
    order=lambda _, unit: (unit.name, unit.id),
    render=lambda _, unit: {"resourceType": "Location", "id": unit.id},
    sorts={"name": lambda _, unit: unit.name},
)
_SCHEMA = TableSchema(ResourceTables([_TABLE]), "Location", {})

_IDS = st.sampled_from([f"u{number}" for number in range(12)])
_UNITS = st.dictionaries(_IDS, st.sampled_from(["anden", "berget", "cedern"]))


def page_of(world: World, query: TableQuery, count: int) -> tuple[list[str], Any]:
    """Return the ids on a page, and the cursor of the next one."""
    criteria = criteria_of(_SCHEMA, world, query)
    page = find_page(_SCHEMA, world, query, criteria, count=count, is_counted=True)
    assert page.total == len(world)
    return [unit.id for unit in page.rows], page.next


@pytest.mark.parametrize(
    "sort",
    [(), (Sort("name", is_descending=False),), (Sort("name", is_descending=True),)],
    ids=["default", "name", "-name"],
)
@given(worlds=st.lists(_UNITS, min_size=1, max_size=8), count=st.integers(1, 4))
def test_pages_stay_true_while_rows_come_and_go(
    sort: tuple[Sort, ...], worlds: list[dict[str, str]], count: int
) -> None:
    """No row is on two pages, and a row that was there throughout is on one."""
    # A name that changes is another row, which may stand elsewhere.
    names = {key: name for world in reversed(worlds) for key, name in world.items()}
    seen: list[str] = []
    cursor = None
    passed = []
    for number in range(len(names) + len(worlds) + 1):
        present = worlds[min(number, len(worlds) - 1)]
        passed.append(present.keys())
        world = {key: Unit(key, names[key]) for key in present}
        found, cursor = page_of(world, TableQuery(sort=sort, cursor=cursor), count)
        seen += found
        if cursor is None:
            break

    assert cursor is None
    assert len(seen) == len(set(seen))
    assert set.intersection(*map(set, passed)) <= set(seen)


@given(names=_UNITS, count=st.integers(1, 4))
def test_pages_of_a_still_table_are_its_rows_in_order(
    names: dict[str, str], count: int
) -> None:
    """All pages together are what one page would be."""
    world = {key: Unit(key, name) for key, name in names.items()}
    query = TableQuery(sort=(Sort("name", is_descending=True),))
    whole, _ = page_of(world, query, len(world) + 1)
    seen, cursor = page_of(world, query, count)
    while cursor is not None:
        more, cursor = page_of(world, TableQuery(sort=query.sort, cursor=cursor), count)
        seen += more

    assert seen == whole
    assert [names[each] for each in seen] == sorted(names.values(), reverse=True)
