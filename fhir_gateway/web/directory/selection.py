"""
What a search over the directory selects: few rows, and which sources may lack some.

The arrays of `services/search` answer the criteria on a time type's meaning, unit,
organisation and source without a look at each row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from fhir_gateway.fhir.practitioner import unit_of_practitioner_role
from fhir_gateway.fhir.resource_table import Candidates, Criterion
from fhir_gateway.fhir.search_parameters import Token
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.model.timeslot import unit_of_time_type
from fhir_gateway.services.search.slot_selection import Selector, TimeTypeCriterion
from fhir_gateway.services.search.source_outcome import staff_lacks, staff_silences
from fhir_gateway.web.directory.elements import hsa_id
from fhir_gateway.web.directory.world import DirectoryWorld
from fhir_gateway.web.searching import sources_from_uris
from fhir_gateway.web.time_type_criteria import time_type_criteria

__all__ = ["missing_of", "schedule_rows", "service_rows"]

_Groups = Sequence[frozenset[str]]

_OF_SERVICE: Final = frozenset({"service-type", "location", "organization", "_source"})
_OF_SCHEDULE: Final = frozenset({"service-type", "actor", "_source"})
_STAFF: Final = frozenset({"Practitioner", "PractitionerRole"})


def service_rows(
    world: DirectoryWorld, criteria: Sequence[Criterion]
) -> Candidates[int]:
    """Return the numbers of the services that may fit."""
    rows = world.rows.services
    selector = _selector(world, "HealthcareService", criteria)
    if selector != Selector():
        fits = np.zeros(int(rows.max(initial=-1)) + 1, dtype=np.bool_)
        fits[world.search.select(world.snapshot, selector).numbers] = True
        rows = rows[fits[rows]]
    return Candidates(rows.tolist(), _rest(criteria, _OF_SERVICE))


def schedule_rows(
    world: DirectoryWorld, criteria: Sequence[Criterion]
) -> Candidates[int]:
    """Return the numbers of the schedules that may fit."""
    rows = world.rows.schedules
    table = world.snapshot.schedules
    for each in criteria:
        if each.is_plain("actor"):
            for group in each.asked:
                fits = np.zeros(len(table), dtype=np.bool_)
                fits[[number for actor in group for number in _of(world, actor)]] = True
                rows = rows[fits[rows]]
    narrowed = [each for each in criteria if not each.is_plain("actor")]
    selector = _selector(world, "Schedule", narrowed)
    if selector != Selector():
        selection = world.search.select(world.snapshot, selector)
        rows = rows[table.mask_of(selection.numbers)[rows]]
    return Candidates(rows.tolist(), _rest(criteria, _OF_SCHEDULE))


def missing_of(
    world: DirectoryWorld, type_: str, criteria: Sequence[Criterion]
) -> tuple[SourceOutcome, ...]:
    """
    Return which sources may have resources of a type that fit and are not known.

    Args:
        world: What is known.
        type_: The resource type.
        criteria: What narrows the search; none for all resources of the type.
    """
    search, snapshot = world.search, world.snapshot
    if type_ == "Slot":
        return search.everything().outcomes
    selector = _selector(world, type_, criteria)
    selection = search.select(snapshot, selector)
    if type_ == "HealthcareService":
        return search.missing_services(snapshot, selection)
    if type_ in ("Location", "Organization"):
        known = snapshot.directory.units.keys() | snapshot.directory.providers.keys()
        if selection.units is not None and selection.units <= known:
            return ()
        return search.missing_units(snapshot, selection)
    outcomes = search.missing_schedules(snapshot, selection)
    if type_ in _STAFF or _asks_for_staff(criteria):
        outcomes += (
            *staff_lacks(snapshot.directory, selection.units),
            *staff_silences(snapshot, selection.units),
        )
    return tuple(
        each
        for each in outcomes
        if selection.sources is None or each.source in selection.sources
    )


def _rest(
    criteria: Sequence[Criterion], answered: frozenset[str]
) -> Sequence[Criterion]:
    """Return the criteria that the arrays have not answered."""
    return [
        each for each in criteria if each.modifier or each.element.name not in answered
    ]


def _of(world: DirectoryWorld, actor: str) -> Iterable[int]:
    """Return the numbers of the schedules that an actor has."""
    type_, _, identifier = actor.partition("/")
    table = world.snapshot.schedules
    if type_ == "HealthcareService":
        return table.of_time_type(identifier)
    if type_ == "PractitionerRole":
        role = world.role(identifier)
        return () if role is None else role.schedules
    found = hsa_id(identifier)
    if found is None:
        return ()
    return table.of_unit(found) if type_ == "Location" else table.of_performer(found)


def _asks_for_staff(criteria: Sequence[Criterion]) -> bool:
    return any(
        reference.partition("/")[0] in _STAFF
        for each in criteria
        if each.is_plain("actor")
        for group in each.asked
        for reference in group
    )


def _selector(
    world: DirectoryWorld, type_: str, criteria: Sequence[Criterion]
) -> Selector:
    """Return what the arrays can choose by of a type's plain criteria."""
    parts: dict[str, tuple[Any, ...]] = {}
    for each in criteria:
        part = _PARTS.get((type_, each.element.name)) or _PARTS.get(
            ("", each.element.name)
        )
        if part is not None and not each.modifier:
            attribute, groups = part[0], part[1](world, each.asked)
            parts[attribute] = parts.get(attribute, ()) + groups
    return Selector(**parts)


def _time_types(
    world: DirectoryWorld, groups: tuple[tuple[Token, ...], ...]
) -> tuple[tuple[TimeTypeCriterion, ...], ...]:
    return time_type_criteria(groups, world.vocabulary)


def _sources(
    world: DirectoryWorld, groups: tuple[frozenset[str], ...]
) -> tuple[frozenset[SourceName], ...]:
    return sources_from_uris(groups, world.vocabulary)


def _hsa_ids(_: DirectoryWorld, groups: _Groups) -> tuple[frozenset[HsaId], ...]:
    """Return the HSA-ids in groups of ids or references."""
    return tuple(
        frozenset(
            found
            for text in group
            if (found := hsa_id(text.rpartition("/")[2])) is not None
        )
        for group in groups
    )


def _codes(_: DirectoryWorld, groups: Iterable[Any]) -> tuple[frozenset[HsaId], ...]:
    """Return the HSA-ids in groups of tokens, unless one has no code."""
    return tuple(
        frozenset(found for each in group if (found := hsa_id(each.code)) is not None)
        for group in groups
        if all(each.code is not None for each in group)
    )


def _units_of_actors(
    _: DirectoryWorld, groups: _Groups
) -> tuple[frozenset[HsaId], ...]:
    """Return the units of groups of actors; none of a group with a practitioner."""
    return tuple(
        frozenset(unit for each in group if (unit := _unit_of_actor(each)) is not None)
        for group in groups
        if not any(each.startswith("Practitioner/") for each in group)
    )


def _unit_of_actor(reference: str) -> HsaId | None:
    type_, _, identifier = reference.partition("/")
    if type_ == "Location":
        return hsa_id(identifier)
    if type_ == "PractitionerRole":
        return unit_of_practitioner_role(identifier)
    return hsa_id(unit_of_time_type(identifier))


def _units_of_roles(_: DirectoryWorld, groups: _Groups) -> tuple[frozenset[HsaId], ...]:
    return tuple(
        frozenset(
            unit
            for each in group
            if (unit := unit_of_practitioner_role(each)) is not None
        )
        for group in groups
    )


def _as_they_are(_: DirectoryWorld, groups: _Groups) -> tuple[frozenset[str], ...]:
    return tuple(groups)


_Part = tuple[str, Callable[[DirectoryWorld, Any], tuple[Any, ...]]]
_PARTS: Final[Mapping[tuple[str, str], _Part]] = {
    ("", "_source"): ("sources", _sources),
    ("", "service-type"): ("time_types", _time_types),
    ("HealthcareService", "_id"): ("offerings", _as_they_are),
    ("HealthcareService", "location"): ("units", _hsa_ids),
    ("HealthcareService", "organization"): ("organizations", _hsa_ids),
    ("Schedule", "_id"): ("schedules", _as_they_are),
    ("Schedule", "actor"): ("units", _units_of_actors),
    ("Location", "_id"): ("units", _hsa_ids),
    ("Location", "identifier"): ("units", _codes),
    ("Location", "organization"): ("organizations", _hsa_ids),
    ("Organization", "_id"): ("units", _hsa_ids),
    ("Organization", "identifier"): ("units", _codes),
    ("PractitionerRole", "_id"): ("units", _units_of_roles),
    ("PractitionerRole", "location"): ("units", _hsa_ids),
}
"""Which attribute of a selector a parameter gives, and how; by type, or of any."""
