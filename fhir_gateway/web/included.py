"""
What `_include` brings beside slots, drawn.

Whatever can be followed from a schedule follows from its number: its service, its
unit's place and organisation, and who it is in which role. So nothing is searched for,
and what was brought already is known by its number. Schedules and services are drawn
anew each time; places, organisations, persons and roles, of which there are fewer, are
kept as they were drawn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_gateway.fhir.bundle import Entry, Mode, drawn_entry
from fhir_gateway.fhir.include_page import IncludeDrawer, OfTimeType, Place, Whose
from fhir_gateway.fhir.search_parameters import Include
from fhir_gateway.fhir.slot_page import drawn_instant
from fhir_gateway.model.ids import HsaId
from fhir_gateway.services.search.slot_view import Snapshot
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.lookup import Lookup

__all__ = ["DrawnIncludes"]

_MOST_KEPT_BYTES: Final = 16 * 2**20
# Beside its text, what is kept takes a name and a place in a table.
_BESIDE_BYTES: Final = 250
_BEHIND_TIME_TYPE: Final = len(".aakdr1dm")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Followed:
    """What is followed from a schedule."""

    service: bool
    location: bool
    organization: bool
    role: bool
    practitioner: bool

    @classmethod
    def of(cls, iterated: Sequence[Include]) -> "_Followed":
        """Return what paths of `_include:iterate` lead to."""

        def leads(source: str, parameters: tuple[str, ...], target: str) -> bool:
            return any(
                path.source == source
                and path.parameter in parameters
                and path.target in (None, target)
                for path in iterated
            )

        service = leads("Schedule", ("actor",), "HealthcareService")
        location = leads("Schedule", ("actor",), "Location") or (
            service and leads("HealthcareService", ("location",), "Location")
        )
        role = leads("Schedule", ("actor",), "PractitionerRole")
        return cls(
            service=service,
            location=location,
            organization=(
                service
                and leads(
                    "HealthcareService",
                    ("organization", "providedBy"),
                    "Organization",
                )
            )
            or (location and leads("Location", ("organization",), "Organization")),
            role=role,
            practitioner=leads("Schedule", ("actor",), "Practitioner")
            or (role and leads("PractitionerRole", ("practitioner",), "Practitioner")),
        )


class _Unit:
    """A unit in JSON's words, and as it was drawn; empty for what does not exist."""

    __slots__ = ("location", "organization", "place")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.location: bytes | None = None
        self.organization: bytes | None = None


class _Person:
    """Whose time it is in JSON's words, and as it was drawn: roles by their unit."""

    __slots__ = ("practitioner", "roles", "whose")

    def __init__(self, whose: Whose) -> None:
        self.whose = whose
        self.practitioner: bytes | None = None
        self.roles: dict[HsaId, bytes] = {}


class _Kept:
    """
    What was drawn, or put into JSON's words, while the layout of snapshots is the same.

    Attributes:
        snapshot: The first of them.
        kinds: What draws for the time types of a numbered kind.
        units: By number.
        persons: Whose time it is, by number.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.kinds: dict[int, OfTimeType] = {}
        self.units: dict[int, _Unit] = {}
        self.persons: dict[int, _Person] = {}
        self._bytes = 0

    def make_room(self, size: int) -> None:
        """Make room for one more thing to keep."""
        self._bytes += size + _BESIDE_BYTES
        if self._bytes > _MOST_KEPT_BYTES:
            # Begun anew: cheaper than to keep account of what was used last.
            self.units, self.persons = {}, {}
            self._bytes = size + _BESIDE_BYTES


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
        self._last_kept = _Kept(gateway.slot_search.snapshot)

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
        distinct = list(dict.fromkeys(numbers))
        if not distinct:
            return []
        followed = _Followed.of(iterated)
        kept = self._kept_of(snapshot)
        table, index = snapshot.schedules, snapshot.index
        offerings = table.offering[distinct].tolist()
        kinds = [self._kind(kept, each) for each in index.kinds_of(offerings)]
        units = [_unit(kept, each) for each in index.units_of(offerings)]
        persons = [
            _person(kept, whose, number)
            for whose, number in zip(table.whose(distinct), distinct, strict=True)
        ]
        tokens = [token.encode() for token in table.tokens(distinct)]
        answered = map(drawn_instant, snapshot.answered_at[offerings].tolist())
        entries = [
            kind.schedule(token, unit.place, person.whose, answered_at)
            for kind, token, unit, person, answered_at in zip(
                kinds, tokens, units, persons, answered, strict=True
            )
        ]
        if followed.service:
            entries += {
                offering: kind.service(token[:-_BEHIND_TIME_TYPE], unit.place)
                for offering, kind, token, unit in zip(
                    offerings, kinds, tokens, units, strict=True
                )
            }.values()
        if followed.location:
            entries += [
                self._location(kept, each) if each.location is None else each.location
                for each in dict.fromkeys(units)
            ]
        if followed.organization:
            entries += [
                self._organization(kept, each)
                if each.organization is None
                else each.organization
                for each in {each.place.provider: each for each in units}.values()
            ]
        if followed.role:
            entries += {
                (unit, performer): person.roles.get(unit.place.unit)
                or self._role(kept, unit.place.unit, performer, person)
                for unit, person in zip(units, persons, strict=True)
                if (performer := person.whose.performer) is not None
            }.values()
        if followed.practitioner:
            entries += [
                self._practitioner(kept, each)
                if each.practitioner is None
                else each.practitioner
                for each in {each.whose.performer: each for each in persons}.values()
                if each.whose.performer is not None
            ]
        return [each for each in entries if each]

    def _kept_of(self, snapshot: Snapshot) -> _Kept:
        """Return what was kept for a snapshot's layout, nothing for a new one."""
        # Read once: another thread may begin anew at any time.
        kept = self._last_kept
        if kept.snapshot.layout != snapshot.layout:
            kept = self._last_kept = _Kept(snapshot)
        return kept

    def _kind(self, kept: _Kept, number: int) -> OfTimeType:
        found = kept.kinds.get(number)
        if found is None:
            found = kept.kinds[number] = self._drawer.of_time_type(
                *kept.snapshot.index.kinds[number]
            )
        return found

    def _location(self, kept: _Kept, unit: _Unit) -> bytes:
        drawn = unit.location = self._looked_up(kept, "Location", unit.place.unit)
        return drawn

    def _organization(self, kept: _Kept, unit: _Unit) -> bytes:
        drawn = unit.organization = self._looked_up(
            kept, "Organization", unit.place.provider
        )
        return drawn

    def _practitioner(self, kept: _Kept, person: _Person) -> bytes:
        drawn = person.practitioner = self._looked_up(
            kept, "Practitioner", person.whose.performer
        )
        return drawn

    def _role(
        self, kept: _Kept, unit: HsaId, performer: HsaId, person: _Person
    ) -> bytes:
        snapshot = kept.snapshot
        table = snapshot.schedules
        numbers = [
            number
            for number in snapshot.numbers_of(performer)
            if table.unit(number) == unit
        ]
        services = {token[:-_BEHIND_TIME_TYPE] for token in table.tokens(numbers)}
        drawn = self._drawer.role(
            performer,
            table[numbers[0]].performer_name,
            snapshot.directory.units[unit],
            sorted(services),
        )
        kept.make_room(len(drawn))
        person.roles[unit] = drawn
        return drawn

    def _looked_up(self, kept: _Kept, kind: str, identifier: HsaId | None) -> bytes:
        resource = self._lookup.resource(f"{kind}/{identifier}")
        drawn = b""
        if resource is not None:
            drawn = drawn_entry(Entry(resource, Mode.INCLUDE), self._gateway.base_url)
        kept.make_room(len(drawn))
        return drawn


def _unit(kept: _Kept, number: int) -> _Unit:
    found = kept.units.get(number)
    if found is None:
        found = _Unit(Place.of(kept.snapshot.index.unit(number)))
        kept.units[number] = found
    return found


def _person(kept: _Kept, number: int, schedule: int) -> _Person:
    """Return whose a schedule is, which has that number."""
    found = kept.persons.get(number)
    if found is None:
        found = _Person(Whose.of(kept.snapshot.schedules[schedule]))
        kept.persons[number] = found
    return found
