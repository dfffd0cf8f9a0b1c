"""
Resources by id, and included resources.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from fhir_gateway.fhir.include_graph import Include, references_of
from fhir_gateway.fhir.slot import SlotStatus, slot_from_timeslot
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.web.directory.tables import directory_tables
from fhir_gateway.web.directory.world import DirectoryWorlds
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
        self._tables = directory_tables(gateway.terminology).by_type
        self._worlds = DirectoryWorlds(gateway.slot_search, gateway.vocabulary)

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
        world = self._worlds.present()
        known = world.snapshot.known(token.schedule)
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
            world.time_type_of(known),
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
            or self._worlds.present().snapshot.known(token.schedule) is None
        ):
            return None
        return "This time has begun, and cannot be booked any more: search for another."

    def resource(self, reference: str) -> Resource | None:
        """Return the referenced resource."""
        kind, _, identifier = reference.partition("/")
        if kind == "Slot":
            return self.slot(identifier)
        table = self._tables.get(kind)
        if table is None:
            return None
        world = self._worlds.present()
        row = table.row(world, identifier)
        return None if row is None else table.render(world, row)

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
