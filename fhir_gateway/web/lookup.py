"""
Resources by id, and included resources.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from fhir_gateway.fhir.care_unit import (
    healthcare_service_from_time_type,
    location_from_unit,
    organization_from_unit,
    providing_organization,
)
from fhir_gateway.fhir.include_graph import Include, references_of
from fhir_gateway.fhir.practitioner import (
    practitioner_from_performer,
    practitioner_role_from_performer,
    practitioner_role_id,
    unit_of_practitioner_role,
)
from fhir_gateway.fhir.slot import (
    SlotStatus,
    schedule_from_schedule,
    slot_from_timeslot,
)
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken, TimeType
from fhir_gateway.services.search.snapshot import KnownSchedule, Snapshot
from fhir_gateway.web.gateway import Gateway

__all__ = ["Lookup"]

Resource = dict[str, Any]

_MOST_ROUNDS: Final = 4


class Lookup:
    """
    Finds resources in the present snapshot.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._by_type: dict[str, Callable[[str], Resource | None]] = {
            "Slot": self.slot,
            "Schedule": self.schedule,
            "HealthcareService": self.healthcare_service,
            "Location": self.location,
            "Organization": self.organization,
            "Practitioner": self.practitioner,
            "PractitionerRole": self.practitioner_role,
        }

    def slot(self, identifier: str) -> Resource | None:
        """
        Return a Slot: free, or taken where this server knows its booking.

        A time that its source no longer lists, and that nobody booked here, is not
        found.
        """
        try:
            token = TimeslotToken.parse(identifier)
        except ValueError:
            return None
        # This asks a live source; its answer brings the slot's schedule.
        found = self._gateway.slot_search.find(token)
        known = self._snapshot.known(token.schedule)
        if known is None:
            return None
        if found is not None:
            timeslot, status = found.timeslot, SlotStatus.FREE
        else:
            timeslot = Timeslot(
                schedule=known.schedule, start=token.starts_at, end=token.ends_at
            )
            if self._gateway.held.has(token):
                status = SlotStatus.BUSY
            elif self._gateway.held.is_known(token):
                status = SlotStatus.BUSY_UNAVAILABLE
            else:
                return None
        return slot_from_timeslot(
            timeslot,
            self._time_type(known),
            source=known.source,
            answered_at=known.answered_at,
            vocabulary=self._gateway.vocabulary,
            status=status,
        )

    def why_slot_is_gone(self, identifier: str) -> str | None:
        """Return why a Slot that was not found is gone for ever; None for any other."""
        try:
            token = TimeslotToken.parse(identifier)
        except ValueError:
            return None
        if (
            token.starts_at > self._gateway.clock()
            or self._snapshot.known(token.schedule) is None
        ):
            return None
        return "This time has begun, and cannot be booked any more: search for another."

    def schedule(self, identifier: str) -> Resource | None:
        """Return a Schedule."""
        known = self._snapshot.known(identifier)
        if known is None:
            return None
        unit = self._snapshot.directory.units.get(known.schedule.unit)
        return schedule_from_schedule(
            known.schedule,
            self._time_type(known),
            unit_name=unit.name if unit else known.schedule.unit,
            source=known.source,
            answered_at=known.answered_at,
            vocabulary=self._gateway.vocabulary,
        )

    def healthcare_service(self, identifier: str) -> Resource | None:
        """Return a HealthcareService."""
        offering = self._snapshot.directory.offerings.get(identifier)
        if offering is None:
            return None
        return healthcare_service_from_time_type(
            offering.unit, offering.time_type, self._gateway.vocabulary
        )

    def location(self, identifier: str) -> Resource | None:
        """Return a Location by its unit's HSA-id, in any case."""
        hsa_id = _hsa_id(identifier)
        unit = self._snapshot.directory.units.get(hsa_id) if hsa_id else None
        if unit is None:
            return None
        return location_from_unit(unit, self._gateway.vocabulary)

    def organization(self, identifier: str) -> Resource | None:
        """Return an Organization by its HSA-id, in any case."""
        hsa_id = _hsa_id(identifier)
        unit = self._snapshot.directory.providers.get(hsa_id) if hsa_id else None
        if unit is None:
            return None
        return organization_from_unit(
            providing_organization(unit),
            unit.organization_name or unit.name,
            unit,
            self._gateway.vocabulary,
        )

    def practitioner(self, identifier: str) -> Resource | None:
        """Return a Practitioner by HSA-id, in any case."""
        hsa_id = _hsa_id(identifier)
        if hsa_id is None:
            return None
        known = self._snapshot.first_of(hsa_id)
        if known is None:
            return None
        return practitioner_from_performer(
            self._snapshot.directory.performer(hsa_id, known.source),
            hsa_id,
            display=known.schedule.performer_name,
            source=known.source,
            vocabulary=self._gateway.vocabulary,
        )

    def practitioner_role(self, identifier: str) -> Resource | None:
        """Return a PractitionerRole: a member of staff's role at a unit."""
        unit = unit_of_practitioner_role(identifier)
        if unit is None:
            return None
        snapshot = self._snapshot
        for performer, numbers in snapshot.staff_of_unit(unit).items():
            if practitioner_role_id(unit, performer) == identifier:
                first = snapshot.numbered(numbers[0])
                return practitioner_role_from_performer(
                    performer,
                    unit,
                    display=first.schedule.performer_name,
                    services=sorted({snapshot.offering_of(each) for each in numbers}),
                    source=first.source,
                    vocabulary=self._gateway.vocabulary,
                )
        return None

    def included(
        self,
        references: Iterable[str],
        seen: Iterable[str],
        iterated: Sequence[Include],
    ) -> list[Resource]:
        """
        Return the referenced resources, and those included from them, each once.

        Args:
            references: The references of the matches, along the paths to follow.
            seen: The matches.
            iterated: The paths to follow from included resources.
        """
        known = set(seen)
        found: list[Resource] = []
        frontier = [each for each in dict.fromkeys(references) if each not in known]
        for _ in range(_MOST_ROUNDS):
            following: list[str] = []
            for reference in frontier:
                known.add(reference)
                target = self.resource(reference)
                if target is None:
                    continue
                found.append(target)
                for path in iterated:
                    following.extend(references_of(target, path))
            frontier = [each for each in dict.fromkeys(following) if each not in known]
            if not frontier:
                break
        return found

    @property
    def _snapshot(self) -> Snapshot:
        return self._gateway.slot_search.snapshot

    def _time_type(self, known: KnownSchedule) -> TimeType:
        offering = self._snapshot.directory.offerings.get(known.offering)
        if offering is not None:
            return offering.time_type
        return TimeType(
            id=known.schedule.time_type_id, name=known.schedule.time_type_name
        )

    def resource(self, reference: str) -> Resource | None:
        """Return the referenced resource."""
        kind, _, identifier = reference.partition("/")
        find = self._by_type.get(kind)
        return find(identifier) if find else None


def _hsa_id(text: str) -> HsaId | None:
    try:
        return HsaId(text)
    except ValueError:
        return None
