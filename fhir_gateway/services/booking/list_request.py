"""
Which lists of a resident's bookings are requested.

A source with an aggregating address is asked once; of another one, each unit with a
booking that this server knows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhir_gateway.model.ids import LogicalAddress, SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.stores.journal import BookingRecord

__all__ = ["ListRequest", "list_request_about", "list_requests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """A source, and the address where it lists a resident's bookings."""

    source: Source
    address: LogicalAddress


def list_requests(
    records: Iterable[BookingRecord], sources: Iterable[Source]
) -> list[ListRequest]:
    """
    Return what to request of some sources.

    Args:
        records: The bookings of the resident that this server knows.
        sources: The sources that may be asked.
    """
    by_name = {each.name: each for each in sources}
    requests: dict[tuple[SourceName, LogicalAddress], ListRequest] = {}
    for source in by_name.values():
        if source.schedule_address is not None:
            requests[source.name, source.schedule_address] = ListRequest(
                source=source, address=source.schedule_address
            )
    for record in records:
        owner = by_name.get(record.source)
        if owner is None or owner.schedule_address is not None:
            continue
        address = LogicalAddress(record.timeslot.schedule.unit)
        requests[owner.name, address] = ListRequest(source=owner, address=address)
    return list(requests.values())


def list_request_about(
    record: BookingRecord, sources: Mapping[SourceName, Source]
) -> tuple[SourceName, LogicalAddress]:
    """Return the source and address of the request that covers a booking."""
    owner = sources.get(record.source)
    address = owner.schedule_address if owner else None
    return record.source, address or LogicalAddress(record.timeslot.schedule.unit)
