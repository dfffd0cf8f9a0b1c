"""
A resident's relations with units: which units their list asks directly, and why.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final, Protocol

import structlog

from fhir_gateway.model.care_relation import CareRelation, RelationKind
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.errors import GatewayError, Incorrect
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.services.engagement.resident_posts import IndexedPosts, ResidentPosts
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import BookingRecord, Journal

__all__ = ["MOST_ASKED", "CareRelations", "NamesUnits"]

_log = structlog.get_logger()

MOST_ASKED: Final = 200
"""A resident's list asks no more units directly; most residents have a few."""

_INDEX_WITHIN: Final = timedelta(seconds=2)


class NamesUnits(Protocol):
    """
    The port to a service that names units of a resident, as that of listings does.

    It must answer at once, from what this server stores: each list asks it. No service
    of listings has an adapter yet.
    """

    def units_of(self, number: PersonalIdentityNumber) -> Collection[HsaId]:
        """
        Return the units.

        Raises:
            GatewayError: It does not know them now.
        """


class CareRelations:
    """
    Finds and changes residents' relations with units.

    Args:
        access: The sources and their units.
        journal: The bookings that this server knows.
        posts: Knows which units the engagement index names.
        listed: Names the units where a resident is listed; None without such a service.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        *,
        posts: ResidentPosts,
        listed: NamesUnits | None = None,
    ) -> None:
        self._access = access
        self._journal = journal
        self._named: tuple[tuple[RelationKind, NamesUnits], ...] = (
            *(() if listed is None else ((RelationKind.LISTED, listed),)),
            (RelationKind.ADDED, journal.added_units),
        )
        self._posts = posts

    def list_of(self, grant: Grant) -> tuple[CareRelation, ...]:
        """
        Return a resident's relations, sorted by the names of the units.

        Units beyond the grant are not in it, nor are bookings with a status that the
        scopes do not reach.
        """
        records = [
            record
            for record in self._journal.lookups.list_of_resident(grant.subject)
            if grant.covers(record.owner(is_hold=False))
            and (grant.statuses is None or record.state.value.lower() in grant.statuses)
        ]
        found = self._kinds(grant, records)
        for unit in self.indexed(grant, within=_INDEX_WITHIN).units:
            if grant.reaches((unit,)):
                found.setdefault(unit, []).append(RelationKind.INDEXED)
        return tuple(
            sorted(
                (
                    CareRelation(unit=self._unit(unit), kinds=tuple(kinds))
                    for unit, kinds in found.items()
                    if self._access.find_owner(unit) is not None
                ),
                key=lambda each: (each.unit.name, each.unit.hsa_id),
            )
        )

    def indexed(self, grant: Grant, *, within: timedelta) -> IndexedPosts:
        """Return what the engagement index says of a resident; see `ResidentPosts`."""
        return self._posts.posts_of(grant, within=within)

    def known_units(
        self, grant: Grant, records: Iterable[BookingRecord]
    ) -> list[HsaId]:
        """
        Return the units that a resident's list asks directly, but for indexed ones.

        Args:
            grant: Who asks, and for which resident.
            records: The resident's bookings that the journal has.
        """
        return list(self._kinds(grant, records))[:MOST_ASKED]

    def change(
        self, grant: Grant, *, add: Collection[HsaId], remove: Collection[HsaId]
    ) -> None:
        """
        Add units to a resident's relations, and remove added ones.

        Raises:
            Incorrect: There is no such unit to add.
            LimitReached: The resident would have too many.
        """
        unknown = [each for each in add if self._access.find_unit(each) is None]
        if unknown:
            raise Incorrect(
                f"There is no unit {', '.join(sorted(unknown))}; search Location for"
                " the units there are."
            )
        self._journal.added_units.change(grant.subject, add=add, remove=remove)

    def _kinds(
        self, grant: Grant, records: Iterable[BookingRecord]
    ) -> dict[HsaId, list[RelationKind]]:
        """Return why each unit may have bookings, those with known bookings first."""
        kinds: dict[HsaId, list[RelationKind]] = {}
        for record in records:
            kinds.setdefault(record.timeslot.schedule.unit, [RelationKind.BOOKED])
        for kind, service in self._named:
            try:
                units = service.units_of(grant.subject)
            except GatewayError as error:
                # The list is asked of the other units all the same.
                _log.warning("relations not known", kind=kind.value, error=str(error))
                continue
            for unit in units:
                if grant.reaches((unit,)):
                    kinds.setdefault(unit, []).append(kind)
        return kinds

    def _unit(self, unit: HsaId) -> CareUnit:
        known = self._access.find_unit(unit)
        if known is not None:
            return known
        owner = self._access.find_owner(unit)
        if owner is None:
            raise TypeError("the unit was not checked")
        return CareUnit(hsa_id=unit, name=unit, source=owner)
