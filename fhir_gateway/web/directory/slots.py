"""
Slot as a resource table that is only included: its own search is `web/slot.py`.

The free times that are stored are included, the earliest first. No live source is
asked, since the directory's searches ask no region.
"""

from collections.abc import Sequence
from typing import Any, Final

from fhir_gateway.fhir.resource_table import Candidates, Criterion, ResourceTable
from fhir_gateway.fhir.search_element import ReferenceElement
from fhir_gateway.fhir.slot import slot_from_timeslot
from fhir_gateway.fhir.table_includes import MOST_INCLUDED
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.search.search_page import FoundTimeslot
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.web.directory.elements import R4, targets
from fhir_gateway.web.directory.world import DirectoryWorld

__all__ = ["SLOT"]


def _slots_of_schedules(
    world: DirectoryWorld, criteria: Sequence[Criterion]
) -> Candidates[FoundTimeslot]:
    """Return the slots of schedules: one more than may be included shows a cut."""
    schedules = tuple(
        frozenset(reference.partition("/")[2] for reference in group)
        for each in criteria
        for group in each.asked
    )
    page = world.search.stored(
        SlotCriteria(selector=Selector(schedules=schedules), count=MOST_INCLUDED + 1)
    )
    return Candidates(page.found, ())


def _slot(world: DirectoryWorld, identifier: str) -> FoundTimeslot | None:
    try:
        token = TimeslotToken.parse(identifier)
    except ValueError:
        return None
    page = world.search.stored(SlotCriteria(times=frozenset({token}), count=1))
    return next(iter(page.found), None)


def _render_slot(world: DirectoryWorld, row: FoundTimeslot) -> dict[str, Any]:
    return slot_from_timeslot(
        row.timeslot,
        world.time_type_of(row.known),
        source=row.known.source,
        answered_at=row.known.answered_at,
        vocabulary=world.vocabulary,
    )


SLOT: Final = ResourceTable[DirectoryWorld, FoundTimeslot](
    type="Slot",
    elements=(
        ReferenceElement(
            "schedule",
            lambda _, row: (f"Schedule/{row.timeslot.schedule.token}",),
            targets=targets("Schedule"),
            definition=f"{R4}Slot-schedule",
        ),
    ),
    candidates=_slots_of_schedules,
    row=_slot,
    id=lambda _, row: row.timeslot.token,
    order=lambda _, row: (row.timeslot.start.isoformat(), row.timeslot.token),
    render=_render_slot,
    is_only_included=True,
)
