"""
Loads the sources from one TOML file, described in docs/configuration.md.

The program does not start with a faulty file; the error lists all faults.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from marshmallow import ValidationError

from fhir_gateway.adapters.aggregates import ConfiguredAggregate, read_aggregates
from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.adapters.registry import adapter_or_faults
from fhir_gateway.adapters.schema_fault import sentences_from_messages
from fhir_gateway.adapters.source_schema import SourceSchema
from fhir_gateway.model.care_unit import CareUnit, Position
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.regular_file import fault_of_file, is_absent
from fhir_gateway.model.source import Budget, Source
from fhir_gateway.model.toml_file import UnreadableToml, read_toml

__all__ = [
    "ConfiguredSource",
    "WrongSources",
    "load_aggregates",
    "load_sources",
    "source_of_unit",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredSource:
    """
    A source and the adapter that asks it.

    Attributes:
        time_types: The ConceptMap from its time types to standard codes, or None.
    """

    source: Source
    adapter: SchedulingAdapter
    time_types: Path | None


class WrongSources(ValueError):
    """
    The file of sources cannot be used.

    Attributes:
        path: The file.
        faults: One sentence each, with the source and the setting.
        time_types: The ConceptMaps that it names and that exist, to be checked too.
        sources: The names of its tables of sources; empty where it has none.
    """

    def __init__(
        self,
        path: Path,
        faults: Sequence[str],
        time_types: Sequence[Path] = (),
        sources: Sequence[str] = (),
    ) -> None:
        listed = "".join(f"\n  - {fault}" for fault in faults)
        super().__init__(
            f"{path} has {len(faults)} fault{'s' if len(faults) > 1 else ''}:{listed}"
        )
        self.path = path
        self.faults = tuple(faults)
        self.time_types = tuple(time_types)
        self.sources = tuple(sources)


def load_sources(path: Path) -> tuple[ConfiguredSource, ...]:
    """
    Return the configured sources with their adapters.

    Raises:
        WrongSources: The file is absent, is no TOML, or has a faulty setting.
    """
    document = _document(path)
    tables = document.pop("sources", None)
    services = document.pop("aggregates", {})
    # The room of national services reads them.
    document.pop("service_catalogues", None)
    faults = [
        f"{key}: is no setting; the tables are [sources.NAME], [aggregates.NAME] and"
        " [service_catalogues.NAME]"
        for key in document
    ]
    if not isinstance(tables, dict) or not tables:
        faults.append("sources: there is none; write a table [sources.NAME]")
        raise WrongSources(path, faults)
    configured = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            faults.append(f"sources.{name}: is no table")
            continue
        try:
            configured.append(_configure(name, table, path.parent))
        except _Faults as error:
            faults.extend(f"sources.{name}.{fault}" for fault in error.faults)
    faults.extend(_prefix_faults([each.source for each in configured]))
    faults.extend(_ownership_faults([each.source for each in configured]))
    aggregates, more = read_aggregates(services, tables)
    faults.extend(more)
    for aggregate in aggregates:
        aggregate.adapter.close()
    if faults:
        for each in configured:
            each.adapter.close()
        raise WrongSources(
            path, faults, _maps(tables.values(), path.parent), tuple(tables)
        )
    return tuple(configured)


def load_aggregates(path: Path) -> tuple[ConfiguredAggregate, ...]:
    """
    Return the aggregating services of a file that `load_sources` accepts.

    Raises:
        WrongSources: The file has changed since, and one cannot be used.
    """
    document = _document(path)
    services, sources = document.get("aggregates", {}), document.get("sources", {})
    configured, faults = read_aggregates(services, sources)
    if faults:
        raise WrongSources(path, faults)
    return configured


def _maps(tables: Iterable[Any], folder: Path) -> list[Path]:
    named = (table.get("time_types") for table in tables if isinstance(table, Mapping))
    paths = (folder / name for name in named if isinstance(name, str))
    return [path for path in paths if fault_of_file(path) is None]


def _document(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except UnreadableToml as error:
        raise WrongSources(path, [str(error)]) from error


def source_of_unit(sources: Iterable[Source], unit: HsaId) -> Source | None:
    """Return the source of a unit: the one with the longest matching prefix."""
    best: tuple[int, Source] | None = None
    for source in sources:
        for prefix in source.prefixes:
            if unit.startswith(prefix) and (best is None or len(prefix) > best[0]):
                best = (len(prefix), source)
    return best[1] if best else None


# The most characters of a file's name in a message.
_MOST_SHOWN: Final = 200


class _Faults(ValueError):
    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__()
        self.faults = faults


def _configure(name: str, table: Mapping[str, Any], folder: Path) -> ConfiguredSource:
    try:
        source_name = SourceName(name)
    except ValueError as error:
        raise _Faults([f"name: is {error}"]) from error
    faults: list[str] = []
    try:
        data = SourceSchema().load(table)
    except ValidationError as error:
        faults.extend(sentences_from_messages(error.messages_dict))
        # Check the readable settings too, to report all faults at once.
        data = error.valid_data if isinstance(error.valid_data, dict) else {}
        readable = _readable_units(data.get("units"))
        data = {key: data[key] for key in data if key not in error.messages_dict}
        if readable and "units" not in data:
            # A fault of one unit hides no fault of the others.
            data["units"] = readable
    faults.extend(_disagreements(data, folder))
    adapter = None
    if "adapter" in data and "options" in data:
        adapter, more = adapter_or_faults(source_name, data["adapter"], data["options"])
        faults.extend(more)
    if faults or adapter is None:
        if adapter is not None:
            adapter.close()
        raise _Faults(faults)
    prefixes = tuple(prefix.upper() for prefix in data["prefixes"])
    units = tuple(_make_unit(unit, source_name) for unit in data["units"])
    return ConfiguredSource(
        source=Source(
            name=source_name,
            title=data["title"],
            prefixes=prefixes,
            agent=data["agent"],
            refresh_subject=data["refresh_subject"],
            units=units,
            units_from=data["units_from"],
            schedule_address=data["schedule_address"],
            budget=Budget(
                calls_per_second=data["calls_per_second"],
                calls_in_flight=data["calls_in_flight"],
            ),
            horizon=timedelta(days=data["horizon_days"]),
            window=timedelta(days=data["window_days"]),
            read_timeout=timedelta(seconds=data["read_timeout_s"]),
            write_timeout=timedelta(seconds=data["write_timeout_s"]),
            settles_within=timedelta(seconds=data["settles_within_s"]),
            writes_in_flight=data["writes_in_flight"],
            fresh_for=timedelta(seconds=data["fresh_for_s"]),
            offered_for=timedelta(seconds=data["offered_for_s"]),
            reason_limit=data["reason_limit"],
            mode=data["mode"],
            live_timeout=timedelta(seconds=data["live_timeout_s"]),
            live_calls=data["live_calls"],
            most_slots=data["most_slots"],
            indexed=data["engagement_index"],
            county=data["county"],
            phone=data["phone"],
        ),
        adapter=adapter,
        time_types=folder / data["time_types"] if data["time_types"] else None,
    )


def _readable_units(units: object) -> list[Mapping[str, Any]]:
    """Return the units with an id; their other settings may be wrong."""
    if not isinstance(units, list):
        return []
    return [unit for unit in units if isinstance(unit, Mapping) and "hsa_id" in unit]


def _disagreements(data: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield the faults of settings that are valid alone but not together."""
    units: Sequence[Mapping[str, Any]] = data.get("units", ())
    ids: Sequence[str] = [unit["hsa_id"] for unit in units]
    if "prefixes" in data:
        prefixes = tuple(prefix.upper() for prefix in data["prefixes"])
        for each in ids:
            if not each.startswith(prefixes):
                yield f"units: {each} has none of the source's prefixes"
    for each in sorted({each for each in ids if ids.count(each) > 1}):
        yield f"units: {each} is listed more than once"
    if {"units", "units_from"} <= data.keys() and not ids and not data["units_from"]:
        yield "units: there is none; list them or name a unit in units_from"
    offered_for_s: float = data.get("offered_for_s", math.inf)
    fresh_for_s: float = data.get("fresh_for_s", 0)
    if offered_for_s < fresh_for_s:
        yield "offered_for_s: is shorter than fresh_for_s"
    time_types: str | None = data.get("time_types")
    if time_types is None:
        return
    if is_absent(folder / time_types):
        yield f"time_types: there is no file {time_types}"
    elif fault := fault_of_file(folder / time_types):
        yield f"time_types: the file {_shorten(time_types)} {fault}"


def _shorten(name: str) -> str:
    return name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}…"


def _make_unit(data: dict[str, Any], source: SourceName) -> CareUnit:
    latitude, longitude = data.pop("latitude"), data.pop("longitude")
    position = None
    if latitude is not None and longitude is not None:
        position = Position(latitude=latitude, longitude=longitude)
    return CareUnit(source=source, position=position, **data)


def _prefix_faults(sources: Sequence[Source]) -> list[str]:
    owners: dict[str, SourceName] = {}
    faults = []
    for source in sources:
        for prefix in source.prefixes:
            owner = owners.setdefault(prefix, source.name)
            if owner != source.name:
                faults.append(
                    f"sources.{source.name}.prefixes: {prefix} is also a prefix of"
                    f" {owner}; each prefix has one source"
                )
    return faults


def _ownership_faults(sources: Sequence[Source]) -> list[str]:
    return [
        f"sources.{source.name}.units: {unit.hsa_id} belongs to {owner.name}, which"
        " has a longer prefix"
        for source in sources
        for unit in source.units
        if (owner := source_of_unit(sources, unit.hsa_id)) not in (source, None)
    ]
