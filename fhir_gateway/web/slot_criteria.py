"""
The criteria of a search for slots: what the values of its parameters mean.
"""

from collections.abc import Iterable
from typing import Final

from fhir_gateway.fhir.practitioner import (
    practitioner_role_id,
    unit_of_practitioner_role,
)
from fhir_gateway.fhir.reference import Reference
from fhir_gateway.fhir.search_parameters import Token
from fhir_gateway.fhir.slot_parameters import ACTOR_TYPES, hsa_ids
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.model.weekly_hours import ALL_DAYS, ALL_MINUTES, DAYS, WeeklyHours
from fhir_gateway.services.search.schedule_actor import Actors, Named, NameOf
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_selection import Selector
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.web.directory.world import DirectoryWorld
from fhir_gateway.web.searching import sources_from_uris
from fhir_gateway.web.slot_query import (
    STATUSES,
    SlotQuery,
    SlotSearchSchema,
    Tokens,
    units_from_ids,
)
from fhir_gateway.web.time_type_criteria import time_type_criteria

__all__ = [
    "PARAMETERS",
    "actors_from_references",
    "actors_of_chains",
    "parameters_among",
    "slot_criteria",
    "statuses_of",
]

PARAMETERS: Final = {
    "time_types": "service-type",
    "other_time_types": "service-type:not",
    "units": "schedule.actor:Location",
    "offerings": "schedule.actor:HealthcareService",
    "schedules": "schedule",
    "performers": "schedule.actor:Practitioner",
    "actors": "schedule.actor",
    "named": "schedule.actor:Location.name",
    "organizations": "schedule.actor:HealthcareService.organization",
    "sources": "_source",
}
"""The search parameter for each attribute of a selector."""
_OTHERS: Final = {
    "time_types": ("service-type:below", "service-type:in"),
    "other_time_types": ("service-type:not-in",),
    "units": ("schedule.actor:Location.identifier",),
    "actors": (
        "schedule.actor:PractitionerRole",
        "schedule.actor:Practitioner.identifier",
    ),
    "named": tuple(
        f"schedule.actor:{kind}.name{modifier}"
        for kind in ("Location", "HealthcareService", "Practitioner")
        for modifier in ("", ":contains")
    ),
}


def parameters_among(
    given: Iterable[str], chains: Iterable[str] = ()
) -> dict[str, str]:
    """
    Return the search parameter, a given one, for each attribute of a selector.

    Args:
        given: The given parameters.
        chains: Those that are chains to actors.
    """
    names = set(given)
    others = {**_OTHERS, "actors": (*_OTHERS["actors"], *chains)}
    return {
        attribute: next(
            (each for each in (name, *others.get(attribute, ())) if each in names),
            name,
        )
        for attribute, name in PARAMETERS.items()
    }


def slot_criteria(
    query: SlotQuery, vocabulary: Vocabulary, snapshot: Snapshot
) -> SlotCriteria:
    """
    Return the criteria of a search for slots.

    Args:
        query: The values.
        vocabulary: Our canonicals.
        snapshot: Who has which role at a unit.
    """
    return SlotCriteria(
        selector=Selector(
            time_types=time_type_criteria(
                (
                    *query.service_type,
                    *query.service_type_below,
                    *query.service_type_in,
                ),
                vocabulary,
            ),
            other_time_types=time_type_criteria(
                (*query.service_type_not, *query.service_type_not_in), vocabulary
            ),
            units=(*units_from_ids(query.location), *query.location_identifier),
            offerings=query.healthcare_service,
            schedules=query.schedule,
            performers=units_from_ids(query.practitioner),
            actors=_actors(query, snapshot),
            named=_named(query),
            organizations=units_from_ids(query.organization),
            sources=sources_from_uris(query.source, vocabulary),
            near=query.near,
        ),
        start=query.start.start,
        before=query.start.before,
        ends_from=query.end.start,
        ends_before=query.end.before,
        times=_times(query),
        hours=_hours(query),
        descending=query.sort == "-start",
        count=query.count,
        after=None if query.cursor is None else query.cursor.after,
        first_per_unit=query.first_per is not None,
        shown=None if query.cursor is None else query.cursor.shown,
        counted=query.total != "none",
    )


def actors_of_chains(
    schema: SlotSearchSchema, query: SlotQuery, world: DirectoryWorld
) -> tuple[tuple[Actors, ...], frozenset[str]]:
    """
    Return the actors that chains mean, and the types that the chains lead through.

    Args:
        schema: Has the forms of the chains.
        query: The values.
        world: The directory at this moment.
    """
    actors: list[Actors] = []
    through: frozenset[str] = frozenset()
    for name, asked in query.chains:
        form = schema.chain(name)
        if form is None:
            raise LookupError(name)
        (references,) = form.criterion(world, asked).asked
        found = (each.partition("/") for each in references)
        actors.append(
            actors_from_references(
                (Reference(type=kind, id=identifier) for kind, _, identifier in found),
                world.snapshot,
            )
        )
        through |= form.through
    return tuple(actors), through


def statuses_of(query: SlotQuery) -> Tokens:
    """Return the statuses to find; R4's `:not` stands for all others."""
    if not query.status_not:
        return query.status
    others = (
        tuple(
            Token(None, status)
            for status in STATUSES
            if status not in {token.code for token in group}
        )
        for group in query.status_not
    )
    return (*query.status, *others)


def _times(query: SlotQuery) -> frozenset[TimeslotToken] | None:
    """Return the only times to find: none where an element that all have is missing."""
    absent = (
        *(query.no_service_type, query.no_start, query.no_end),
        *(query.no_status, query.no_schedule),
    )
    if any(absent):
        return frozenset()
    if not query.id:
        return None
    return frozenset.intersection(
        *(
            frozenset(
                time for token in group if (time := _timeslot(token.code)) is not None
            )
            for group in query.id
        )
    )


def _timeslot(text: str | None) -> TimeslotToken | None:
    try:
        return TimeslotToken.parse(text or "")
    except ValueError:
        return None


def _hours(query: SlotQuery) -> WeeklyHours | None:
    if query.time_of_day is None and not query.day_of_week:
        return None
    days = ALL_DAYS.intersection(
        *({DAYS.index(token.code) for token in group} for group in query.day_of_week)
    )
    minutes = ALL_MINUTES if query.time_of_day is None else query.time_of_day
    return WeeklyHours(minutes=minutes, days=days)


def _actors(query: SlotQuery, snapshot: Snapshot) -> tuple[Actors, ...]:
    if not (query.actor or query.practitioner_role or query.practitioner_identifier):
        return ()
    groups = [
        *query.actor,
        *(
            frozenset(Reference(type="PractitionerRole", id=each) for each in group)
            for group in query.practitioner_role
        ),
    ]
    return (
        *(actors_from_references(group, snapshot) for group in groups),
        *(Actors(performers=group) for group in query.practitioner_identifier),
    )


def _named(query: SlotQuery) -> tuple[Named, ...]:
    if not (
        query.location_name
        or query.location_name_contains
        or query.healthcare_service_name
        or query.healthcare_service_name_contains
        or query.practitioner_name
        or query.practitioner_name_contains
    ):
        return ()
    return tuple(
        Named(kind=kind, texts=group, anywhere=anywhere)
        for kind, groups, anywhere in (
            (NameOf.UNIT, query.location_name, False),
            (NameOf.UNIT, query.location_name_contains, True),
            (NameOf.OFFERING, query.healthcare_service_name, False),
            (NameOf.OFFERING, query.healthcare_service_name_contains, True),
            (NameOf.PERFORMER, query.practitioner_name, False),
            (NameOf.PERFORMER, query.practitioner_name_contains, True),
        )
        for group in groups
    )


def actors_from_references(
    references: Iterable[Reference], snapshot: Snapshot
) -> Actors:
    """
    Return the actors that references of some of `ACTOR_TYPES` name.

    Args:
        references: The references.
        snapshot: Who has which role at a unit.
    """
    ids: dict[str, set[str]] = {kind: set() for kind in ACTOR_TYPES}
    for reference in references:
        ids[reference.type].add(reference.id)
    return Actors(
        units=hsa_ids(ids["Location"]),
        offerings=frozenset(ids["HealthcareService"]),
        performers=hsa_ids(ids["Practitioner"]),
        roles=frozenset(
            (unit, performer)
            for unit in set(map(unit_of_practitioner_role, ids["PractitionerRole"]))
            if unit is not None
            for performer in snapshot.staff_of_unit(unit)
            if practitioner_role_id(unit, performer) in ids["PractitionerRole"]
        ),
    )
