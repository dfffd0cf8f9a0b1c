"""
Which lists of a resident's bookings are requested.

An aggregating service is asked once, for all its sources. So is a source with an
address that lists all its units. Of another source, each unit is asked that the
resident has a relation with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhir_gateway.model.found_booking import Way
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.source import Aggregate, Source
from fhir_gateway.stores.journal import BookingRecord

__all__ = ["ListRequest", "RequestKey", "direct_request_about", "list_requests"]

RequestKey = tuple[SourceName, LogicalAddress]
"""Who is asked, and at which address."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListRequest:
    """
    Who lists a resident's bookings, and at which address.

    Attributes:
        unit: The unit, where the list is of a single one.
    """

    asked: Source | Aggregate
    address: LogicalAddress
    unit: HsaId | None = None

    @property
    def key(self) -> RequestKey:
        """Return what distinguishes it from a resident's other requests."""
        return self.asked.name, self.address

    @property
    def way(self) -> Way:
        """Return by which way it finds bookings."""
        is_aggregated = isinstance(self.asked, Aggregate)
        return Way.AGGREGATED if is_aggregated else Way.DIRECT

    @property
    def sources(self) -> frozenset[SourceName]:
        """Return the sources with bookings in its list."""
        if isinstance(self.asked, Aggregate):
            return self.asked.sources
        return frozenset({self.asked.name})

    def is_about(self, source: SourceName, unit: HsaId) -> bool:
        """Return whether a unit's bookings may be in its list."""
        return source in self.sources and self.unit in (None, unit)


def list_requests(
    units: Iterable[tuple[SourceName, HsaId]],
    sources: Iterable[Source],
    aggregates: Iterable[Aggregate] = (),
) -> list[ListRequest]:
    """
    Return what to request of some sources: direct lists first.

    Args:
        units: The units that the resident has a relation with, and their sources.
        sources: The sources that may be asked.
        aggregates: The aggregating services that may be asked.
    """
    by_name = {each.name: each for each in sources}
    requests: dict[RequestKey, ListRequest] = {}
    for source in by_name.values():
        if source.schedule_address is not None:
            request = ListRequest(asked=source, address=source.schedule_address)
            requests[request.key] = request
    for name, unit in units:
        owner = by_name.get(name)
        if owner is None or owner.schedule_address is not None:
            continue
        request = ListRequest(asked=owner, address=LogicalAddress(unit), unit=unit)
        requests[request.key] = request
    for aggregate in aggregates:
        if not aggregate.sources.isdisjoint(by_name):
            request = ListRequest(asked=aggregate, address=aggregate.address)
            requests[request.key] = request
    return list(requests.values())


def direct_request_about(
    record: BookingRecord, sources: Mapping[SourceName, Source]
) -> RequestKey:
    """Return the key of the direct request that covers a booking."""
    owner = sources.get(record.source)
    address = owner.schedule_address if owner else None
    return record.source, address or LogicalAddress(record.timeslot.schedule.unit)
