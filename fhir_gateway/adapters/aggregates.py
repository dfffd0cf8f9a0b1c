"""
Reads the aggregating services (`aggregerande tjänster`) in the file of sources.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from marshmallow import ValidationError

from fhir_gateway.adapters.protocol import ListsBookings, SchedulingAdapter
from fhir_gateway.adapters.registry import adapter_or_faults
from fhir_gateway.adapters.schema_fault import sentences_from_messages
from fhir_gateway.adapters.source_schema import AggregateSchema
from fhir_gateway.model import scheduling
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import Aggregate

__all__ = ["ConfiguredAggregate", "read_aggregates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredAggregate:
    """An aggregating service and the adapter that asks it."""

    aggregate: Aggregate
    adapter: SchedulingAdapter


def read_aggregates(
    tables: object, sources: Collection[str]
) -> tuple[tuple[ConfiguredAggregate, ...], list[str]]:
    """
    Return the aggregating services that can be used, and the faults of the others.

    Args:
        tables: The table `aggregates` of the file.
        sources: The names of the sources in the file.
    """
    if not isinstance(tables, Mapping):
        return (), ["aggregates: is no table; write [aggregates.NAME]"]
    configured: list[ConfiguredAggregate] = []
    faults: list[str] = []
    for name, table in tables.items():
        found, more = _configure(name, table, sources)
        faults.extend(f"aggregates.{name}{fault}" for fault in more)
        if found is not None:
            configured.append(found)
    return tuple(configured), faults


def _configure(
    name: str, table: object, sources: Collection[str]
) -> tuple[ConfiguredAggregate | None, list[str]]:
    if not isinstance(table, Mapping):
        return None, [": is no table"]
    faults: list[str] = []
    if name in sources:
        faults.append(".name: is the name of a source; choose another")
    try:
        service = SourceName(name)
    except ValueError as error:
        return None, [f".name: is {error}"]
    data: Mapping[str, Any]
    try:
        data = AggregateSchema().load(table)
    except ValidationError as error:
        wrong = sentences_from_messages(error.messages_dict)
        faults.extend(f".{each}" for each in wrong)
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
        data = {key: valid[key] for key in valid if key not in error.messages_dict}
    covered = data.get("sources") or list(sources)
    faults.extend(
        f".sources: there is no source {each}"
        for each in dict.fromkeys(covered)
        if each not in sources
    )
    adapter = None
    if "adapter" in data and "options" in data:
        adapter, more = adapter_or_faults(service, data["adapter"], data["options"])
        faults.extend(f".{fault}" for fault in more)
    if adapter is not None and not _lists_bookings(adapter):
        faults.append(".options: the service must support GetSubjectOfCareSchedule")
    if faults or adapter is None:
        if adapter is not None:
            adapter.close()
        return None, faults
    aggregate = Aggregate(
        name=service,
        title=data["title"],
        address=data["logical_address"],
        sources=frozenset(map(SourceName, covered)),
        read_timeout=timedelta(seconds=data["read_timeout_s"]),
        phone=data["phone"],
    )
    return ConfiguredAggregate(aggregate=aggregate, adapter=adapter), []


def _lists_bookings(adapter: SchedulingAdapter) -> bool:
    return (
        isinstance(adapter, ListsBookings)
        and scheduling.GET_SUBJECT_OF_CARE_SCHEDULE in adapter.supports
    )
