"""
What `_include` brings beside slots, drawn.

Schedules, services and roles are drawn anew each time; places and persons, of which
there are fewer, are kept as they were drawn.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from fhir_gateway.fhir.bundle import Entry, Mode, drawn_entry
from fhir_gateway.fhir.care_unit import providing_organization
from fhir_gateway.fhir.include_page import IncludeDrawer
from fhir_gateway.fhir.practitioner import practitioner_role_id
from fhir_gateway.fhir.search_parameters import Include
from fhir_gateway.fhir.slot_page import drawn_instant
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import Schedule
from fhir_gateway.services.slot_view import Snapshot
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.lookup import INCLUDES, MOST_ROUNDS, Lookup, references_of

__all__ = ["DrawnIncludes"]

_MOST_KEPT_BYTES: Final = 8 * 2**20
# Beside its text, what is kept takes a name, a place in a table and its references.
_BESIDE_BYTES: Final = 400

_Followed = dict[str, tuple[tuple[str, str], ...]]


class _Drawn:
    """An entry, and what it refers to by the paths of `_include` that begin at it."""

    __slots__ = ("entry", "references")

    def __init__(self, entry: bytes, references: dict[str, tuple[str, ...]]) -> None:
        self.entry = entry
        self.references = references


class DrawnIncludes:
    """
    Draws what slots include, and what follows from that.

    Args:
        gateway: The services.
        lookup: Finds what is not drawn from a stencil.
    """

    def __init__(self, gateway: Gateway, lookup: Lookup) -> None:
        self._gateway = gateway
        self._lookup = lookup
        self._drawer = IncludeDrawer(gateway.base_url, gateway.vocabulary)
        self._layout = -1
        self._kept: dict[str, _Drawn] = {}
        self._kept_bytes = 0

    def of_schedules(
        self, snapshot: Snapshot, numbers: Iterable[int], iterated: Sequence[Include]
    ) -> list[bytes]:
        """
        Return the schedules as entries, and what is followed from there, each once.

        Args:
            snapshot: Where the schedules are.
            numbers: Their numbers in it.
            iterated: What to follow from what was included.
        """
        followed: _Followed = {}
        for path in iterated:
            prefix = f"{path.target}/" if path.target else ""
            known = followed.get(path.source, ())
            followed[path.source] = (*known, (path.parameter, prefix))
        entries: list[bytes] = []
        frontier: dict[str, None] = {}
        distinct = list(dict.fromkeys(numbers))
        tokens = snapshot.schedules.tokens(distinct)
        for number, token in zip(distinct, tokens, strict=True):
            drawn = self._schedule(snapshot, number, token)
            if drawn is not None:
                entries.append(drawn.entry)
                _follow(drawn, followed.get("Schedule", ()), frontier)
        roles = self._roles_of(snapshot, distinct) if "Schedule" in followed else {}
        seen = {f"Schedule/{token}" for token in tokens}
        for _ in range(MOST_ROUNDS - 1):
            following: dict[str, None] = {}
            for reference in frontier:
                if reference in seen:
                    continue
                seen.add(reference)
                kind = reference.partition("/")[0]
                if reference in roles:
                    drawn = self._role(snapshot, *roles[reference])
                else:
                    drawn = self._resolved(snapshot, reference)
                if drawn is not None:
                    entries.append(drawn.entry)
                    _follow(drawn, followed.get(kind, ()), following)
            if not following:
                break
            frontier = following
        return entries

    def _schedule(self, snapshot: Snapshot, number: int, token: str) -> _Drawn | None:
        of_time_type = token[:-9]
        offering = snapshot.directory.offerings.get(of_time_type)
        if offering is None:
            return self._looked_up(f"Schedule/{token}")
        schedule = snapshot.schedules[number]
        answered_at = float(snapshot.answered_at[snapshot.schedules.offering[number]])
        unit = offering.unit
        return _Drawn(
            self._drawer.schedule(
                schedule, token, offering.time_type, unit, drawn_instant(answered_at)
            ),
            {"actor": _actors(schedule, of_time_type, unit)},
        )

    def _roles_of(
        self, snapshot: Snapshot, numbers: Iterable[int]
    ) -> dict[str, tuple[HsaId, CareUnit]]:
        """Return who stands behind each reference to a role in schedules."""
        roles = {}
        table, units = snapshot.schedules, snapshot.directory.units
        for number in numbers:
            performer = table.performer(number)
            unit = units.get(table.unit(number))
            if performer is not None and unit is not None:
                role = practitioner_role_id(unit.hsa_id, performer)
                roles[f"PractitionerRole/{role}"] = performer, unit
        return roles

    def _role(self, snapshot: Snapshot, performer: HsaId, unit: CareUnit) -> _Drawn:
        table = snapshot.schedules
        numbers = [
            number
            for number in snapshot.numbers_of(performer)
            if table.unit(number) == unit.hsa_id
        ]
        services = {token[:-9] for token in table.tokens(numbers)}
        name = table[numbers[0]].performer_name
        return _Drawn(
            self._drawer.role(performer, name, unit, sorted(services)),
            {"practitioner": (f"Practitioner/{performer}",)},
        )

    def _resolved(self, snapshot: Snapshot, reference: str) -> _Drawn | None:
        kind, _, identifier = reference.partition("/")
        if kind == "HealthcareService":
            return self._service(snapshot, identifier)
        present = self._gateway.slot_search.snapshot.layout
        if present != self._layout:
            self._kept, self._kept_bytes, self._layout = {}, 0, present
        kept = self._kept.get(reference)
        if kept is None:
            kept = self._looked_up(reference)
            if kept is not None:
                self._keep(reference, kept)
        return kept

    def _service(self, snapshot: Snapshot, token: str) -> _Drawn | None:
        offering = snapshot.directory.offerings.get(token)
        if offering is None:
            return None
        unit = offering.unit
        providers = (f"Organization/{providing_organization(unit)}",)
        return _Drawn(
            self._drawer.service(token, offering.time_type, unit),
            {
                "location": (f"Location/{unit.hsa_id}",),
                "organization": providers,
                "providedBy": providers,
            },
        )

    def _looked_up(self, reference: str) -> _Drawn | None:
        resource = self._lookup.resource(reference)
        if resource is None:
            return None
        kind = resource["resourceType"]
        return _Drawn(
            drawn_entry(Entry(resource, Mode.INCLUDE), self._gateway.base_url),
            {
                path.parameter: tuple(references_of(resource, path))
                for path in INCLUDES
                if path.source == kind
            },
        )

    def _keep(self, reference: str, drawn: _Drawn) -> None:
        self._kept_bytes += len(drawn.entry) + _BESIDE_BYTES
        if self._kept_bytes > _MOST_KEPT_BYTES:
            # Begun anew: cheaper than to keep account of what was used last.
            self._kept, self._kept_bytes = {}, len(drawn.entry) + _BESIDE_BYTES
        self._kept[reference] = drawn


def _actors(schedule: Schedule, of_time_type: str, unit: CareUnit) -> tuple[str, ...]:
    """Return what `fhir.slot` makes a schedule refer to, in that order."""
    actors = (f"HealthcareService/{of_time_type}", f"Location/{unit.hsa_id}")
    performer = schedule.performer
    if performer is None:
        return actors
    role = practitioner_role_id(unit.hsa_id, performer)
    return (*actors, f"PractitionerRole/{role}", f"Practitioner/{performer}")


def _follow(
    drawn: _Drawn, paths: tuple[tuple[str, str], ...], into: dict[str, None]
) -> None:
    """Add what an entry refers to by paths: the parameter, and how targets begin."""
    for parameter, prefix in paths:
        for reference in drawn.references.get(parameter, ()):
            if reference.startswith(prefix):
                into[reference] = None
