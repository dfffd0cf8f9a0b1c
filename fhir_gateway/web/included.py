"""
The resources that `_include` brings beside slots, rendered.

A schedule's number leads to everything that `_include` can follow: its service, its
unit's place and organisation, its performer and the performer's role. So this module
needs no search, and it recognises repeated resources of a page by number. It renders
schedules and services anew each time; it caches places, organisations, persons and
roles, of which there are fewer.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from fhir_gateway.fhir.bundle import Entry, Mode, rendered_entry
from fhir_gateway.fhir.include_graph import Include, types_reached
from fhir_gateway.fhir.include_page import (
    ActorValues,
    IncludeRenderer,
    OfTimeType,
    UnitValues,
)
from fhir_gateway.fhir.slot_page import rendered_instant
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import time_type_of_schedule
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.lookup import Lookup

__all__ = ["RenderedIncludes"]

_MOST_BYTES: Final = 16 * 2**20
# The bytes of an entry besides its text: a name and a place in a table.
_BYTES_OF_AN_ENTRY: Final = 250


class _Unit:
    """A unit's values in JSON, and its rendered resources: empty for absent ones."""

    __slots__ = ("location", "organization", "values")

    def __init__(self, unit: UnitValues) -> None:
        self.values = unit
        self.location: bytes | None = None
        self.organization: bytes | None = None


class _Person:
    """A performer's values in JSON, and the rendered resources: roles by unit."""

    __slots__ = ("actor", "practitioner", "roles")

    def __init__(self, actor: ActorValues) -> None:
        self.actor = actor
        self.practitioner: bytes | None = None
        self.roles: dict[HsaId, bytes] = {}


class _Cache:
    """
    Cached values and rendered resources of one layout of snapshots.

    Attributes:
        snapshot: The first of them.
        kinds: The renderers for the time types of a numbered kind.
        units: By number.
        persons: Performers and resources, by number.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.kinds: dict[int, OfTimeType] = {}
        self.units: dict[int, _Unit] = {}
        self.persons: dict[int, _Person] = {}
        self._bytes = 0

    def make_room(self, size: int) -> None:
        """Make room for one more entry."""
        self._bytes += size + _BYTES_OF_AN_ENTRY
        if self._bytes > _MOST_BYTES:
            # Emptied whole: that is cheaper than a record of the last uses.
            self.units, self.persons = {}, {}
            self._bytes = size + _BYTES_OF_AN_ENTRY


class RenderedIncludes:
    """
    Renders the resources that `_include` brings with slots.

    Args:
        gateway: The services.
        lookup: Finds the resources that have no template.
    """

    def __init__(self, gateway: Gateway, lookup: Lookup) -> None:
        self._gateway = gateway
        self._lookup = lookup
        self._renderer = IncludeRenderer(gateway.base_url, gateway.vocabulary)
        self._last_cache = _Cache(gateway.slot_search.snapshot)

    def of_schedules(
        self, snapshot: Snapshot, numbers: Iterable[int], iterated: Sequence[Include]
    ) -> list[bytes]:
        """
        Return the schedules and the resources included from them as entries, each once.

        Args:
            snapshot: The snapshot of the schedules.
            numbers: Their numbers in it.
            iterated: The paths to follow from included resources.
        """
        distinct = list(dict.fromkeys(numbers))
        if not distinct:
            return []
        reached = types_reached("Schedule", iterated)
        cache = self._cache_of(snapshot)
        table, index = snapshot.schedules, snapshot.index
        offerings = table.offering[distinct].tolist()
        kinds = [self._kind(cache, each) for each in index.kinds_of(offerings)]
        units = [_unit(cache, each) for each in index.units_of(offerings)]
        persons = [
            _person(cache, actor, number)
            for actor, number in zip(table.actors(distinct), distinct, strict=True)
        ]
        tokens = [token.encode() for token in table.tokens(distinct)]
        answered = map(rendered_instant, snapshot.answered_at[offerings].tolist())
        entries = [
            kind.schedule(token, unit.values, person.actor, answered_at)
            for kind, token, unit, person, answered_at in zip(
                kinds, tokens, units, persons, answered, strict=True
            )
        ]
        if "HealthcareService" in reached:
            entries += {
                offering: kind.service(time_type_of_schedule(token), unit.values)
                for offering, kind, token, unit in zip(
                    offerings, kinds, tokens, units, strict=True
                )
            }.values()
        if "Location" in reached:
            entries += [
                self._location(cache, each) if each.location is None else each.location
                for each in dict.fromkeys(units)
            ]
        if "Organization" in reached:
            entries += [
                self._organization(cache, each)
                if each.organization is None
                else each.organization
                for each in {each.values.provider: each for each in units}.values()
            ]
        if "PractitionerRole" in reached:
            entries += {
                (unit, performer): person.roles.get(unit.values.unit)
                or self._role(cache, unit.values.unit, performer, person)
                for unit, person in zip(units, persons, strict=True)
                if (performer := person.actor.performer) is not None
            }.values()
        if "Practitioner" in reached:
            entries += [
                self._practitioner(cache, each)
                if each.practitioner is None
                else each.practitioner
                for each in {each.actor.performer: each for each in persons}.values()
                if each.actor.performer is not None
            ]
        return [each for each in entries if each]

    def _cache_of(self, snapshot: Snapshot) -> _Cache:
        """Return the cache of a snapshot's layout, an empty one for a new layout."""
        # Read once: another thread may replace it at any time.
        cache = self._last_cache
        if cache.snapshot.layout != snapshot.layout:
            cache = self._last_cache = _Cache(snapshot)
        return cache

    def _kind(self, cache: _Cache, number: int) -> OfTimeType:
        found = cache.kinds.get(number)
        if found is None:
            found = cache.kinds[number] = self._renderer.of_time_type(
                *cache.snapshot.index.kinds[number]
            )
        return found

    def _location(self, cache: _Cache, unit: _Unit) -> bytes:
        rendered = unit.location = self._looked_up(cache, "Location", unit.values.unit)
        return rendered

    def _organization(self, cache: _Cache, unit: _Unit) -> bytes:
        rendered = unit.organization = self._looked_up(
            cache, "Organization", unit.values.provider
        )
        return rendered

    def _practitioner(self, cache: _Cache, person: _Person) -> bytes:
        rendered = person.practitioner = self._looked_up(
            cache, "Practitioner", person.actor.performer
        )
        return rendered

    def _role(
        self, cache: _Cache, unit: HsaId, performer: HsaId, person: _Person
    ) -> bytes:
        snapshot = cache.snapshot
        table = snapshot.schedules
        numbers = [
            number
            for number in snapshot.numbers_of(performer)
            if table.unit(number) == unit
        ]
        services = set(map(time_type_of_schedule, table.tokens(numbers)))
        rendered = self._renderer.role(
            performer,
            table[numbers[0]].performer_name,
            snapshot.directory.units[unit],
            sorted(services),
        )
        cache.make_room(len(rendered))
        person.roles[unit] = rendered
        return rendered

    def _looked_up(self, cache: _Cache, kind: str, identifier: HsaId | None) -> bytes:
        resource = self._lookup.resource(f"{kind}/{identifier}")
        rendered = b""
        if resource is not None:
            rendered = rendered_entry(
                Entry(resource, Mode.INCLUDE), self._gateway.base_url
            )
        cache.make_room(len(rendered))
        return rendered


def _unit(cache: _Cache, number: int) -> _Unit:
    found = cache.units.get(number)
    if found is None:
        found = _Unit(UnitValues.of(cache.snapshot.index.unit(number)))
        cache.units[number] = found
    return found


def _person(cache: _Cache, number: int, schedule: int) -> _Person:
    """Return the cached performer or resource of a schedule, by its number."""
    found = cache.persons.get(number)
    if found is None:
        found = _Person(ActorValues.of(cache.snapshot.schedules[schedule]))
        cache.persons[number] = found
    return found
