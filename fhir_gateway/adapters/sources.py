"""
Which sources there are: one TOML file, described in docs/configuration.md.

A wrong file stops the start, and the error lists every fault in it.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.adapters.registry import (
    UnknownAdapter,
    UnusableOptions,
    adapter_factory,
)
from fhir_gateway.model.care_unit import CareUnit, Position
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.source import Budget, Mode, Source

__all__ = ["ConfiguredSource", "WrongSources", "load_sources", "source_of_unit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredSource:
    """
    A source and the adapter that asks it.

    Attributes:
        time_types: The ConceptMap that gives its time types their shared meaning, or
            None when it has none.
    """

    source: Source
    adapter: SchedulingAdapter
    time_types: Path | None


class WrongSources(ValueError):
    """
    The file of sources cannot be used.

    Attributes:
        faults: One sentence each, naming the source and the setting.
    """

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        listed = "".join(f"\n  - {fault}" for fault in faults)
        super().__init__(
            f"{path} has {len(faults)} fault{'s' if len(faults) > 1 else ''}:{listed}"
        )
        self.faults = tuple(faults)


def load_sources(path: Path) -> tuple[ConfiguredSource, ...]:
    """
    Return the configured sources with their adapters.

    Raises:
        WrongSources: The file is absent, no TOML, or says something unusable.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSources(path, [f"it cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSources(path, [f"it is not TOML: {error}"]) from error
    tables = document.pop("sources", None)
    faults = [f"{key}: is no setting; the only table is [sources]" for key in document]
    if not isinstance(tables, dict) or not tables:
        faults.append("sources: there is none; write a table [sources.NAME]")
        raise WrongSources(path, faults)
    configured = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            faults.append(f"sources.{name}: is no table")
            continue
        try:
            configured.append(_configured(name, table, path.parent))
        except _Faults as error:
            faults.extend(f"sources.{name}.{fault}" for fault in error.faults)
    faults.extend(_prefix_faults([each.source for each in configured]))
    faults.extend(_ownership_faults([each.source for each in configured]))
    if faults:
        for each in configured:
            each.adapter.close()
        raise WrongSources(path, faults)
    return tuple(configured)


def source_of_unit(sources: Iterable[Source], unit: HsaId) -> Source | None:
    """Return the source that answers for a unit: the longest prefix wins."""
    best: tuple[int, Source] | None = None
    for source in sources:
        for prefix in source.prefixes:
            if unit.startswith(prefix) and (best is None or len(prefix) > best[0]):
                best = (len(prefix), source)
    return best[1] if best else None


class _Faults(ValueError):
    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__()
        self.faults = faults


class _Identifier(fields.String):
    """Text that a type of `model.ids` accepts."""

    def __init__(self, kind: type[str], **options: Any) -> None:  # noqa: ANN401 - marshmallow's
        super().__init__(**options)
        self._kind = kind

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - marshmallow's
        attr: str | None,
        data: Mapping[str, Any] | None,
        **options: Any,  # noqa: ANN401 - marshmallow's
    ) -> str:
        text = super()._deserialize(value, attr, data, **options)
        try:
            return self._kind(text)
        except ValueError as error:
            raise ValidationError(f"is {error}") from error


class _PersonalNumber(fields.String):
    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - marshmallow's
        attr: str | None,
        data: Mapping[str, Any] | None,
        **options: Any,  # noqa: ANN401 - marshmallow's
    ) -> Any:  # noqa: ANN401 - marshmallow's
        text = super()._deserialize(value, attr, data, **options)
        try:
            return PersonalIdentityNumber(text)
        except ValueError as error:
            raise ValidationError(f"is {error}") from error


_POSITIVE = validate.Range(min=0, min_inclusive=False)


class _UnitSchema(Schema):
    error_messages = {"unknown": "is no setting of a unit"}  # noqa: RUF012 - marshmallow's

    hsa_id = _Identifier(HsaId, required=True)
    name = fields.String(required=True, validate=validate.Length(min=1))
    organization = _Identifier(HsaId, load_default=None)
    organization_name = fields.String(load_default=None)
    phone = fields.String(load_default=None)
    street = fields.String(load_default=None)
    postal_code = fields.String(load_default=None)
    city = fields.String(load_default=None)
    latitude = fields.Float(load_default=None, validate=validate.Range(-90, 90))
    longitude = fields.Float(load_default=None, validate=validate.Range(-180, 180))


class _SourceSchema(Schema):
    error_messages = {"unknown": "is no setting of a source"}  # noqa: RUF012 - marshmallow's

    adapter = fields.String(required=True)
    title = fields.String(required=True, validate=validate.Length(min=1))
    prefixes = fields.List(
        fields.String(validate=validate.Length(min=1)),
        required=True,
        validate=validate.Length(min=1),
    )
    agent = _Identifier(HsaId, required=True)
    refresh_subject = _PersonalNumber(required=True)
    units_from = _Identifier(HsaId, load_default=None)
    schedule_address = _Identifier(LogicalAddress, load_default=None)
    calls_per_second = fields.Float(load_default=1.0, validate=_POSITIVE)
    calls_in_flight = fields.Integer(strict=True, load_default=2, validate=_POSITIVE)
    horizon_days = fields.Integer(
        strict=True, load_default=90, validate=validate.Range(1, 366)
    )
    window_days = fields.Integer(
        strict=True, load_default=90, validate=validate.Range(1, 366)
    )
    read_timeout_s = fields.Float(load_default=8.0, validate=_POSITIVE)
    write_timeout_s = fields.Float(load_default=32.0, validate=_POSITIVE)
    settles_within_s = fields.Float(load_default=90.0, validate=_POSITIVE)
    writes_in_flight = fields.Integer(
        strict=True, load_default=8, validate=validate.Range(1, 100)
    )
    fresh_for_s = fields.Float(load_default=600.0, validate=_POSITIVE)
    offered_for_s = fields.Float(load_default=1800.0, validate=_POSITIVE)
    reason_limit = fields.Integer(strict=True, load_default=None, validate=_POSITIVE)
    mode = fields.Enum(Mode, by_value=True, load_default=Mode.CACHED)
    live_timeout_s = fields.Float(load_default=5.0, validate=_POSITIVE)
    live_calls = fields.Integer(
        strict=True, load_default=20, validate=validate.Range(1, 100)
    )
    # A row of a block numbers its schedules with sixteen bits.
    most_slots = fields.Integer(
        strict=True, load_default=20_000, validate=validate.Range(1, 65_535)
    )
    time_types = fields.String(load_default=None)
    options = fields.Dict(keys=fields.String(), load_default=dict)
    units = fields.List(fields.Nested(_UnitSchema), load_default=list)


def _configured(name: str, table: Mapping[str, Any], folder: Path) -> ConfiguredSource:
    try:
        source_name = SourceName(name)
    except ValueError as error:
        raise _Faults([f"name: is {error}"]) from error
    try:
        data = _SourceSchema().load(table)
    except ValidationError as error:
        faults = _sentences(error.messages_dict)
        read = error.valid_data if isinstance(error.valid_data, dict) else {}
        if "adapter" in read and "options" not in error.messages_dict:
            # What can be read of the rest is looked at too: all faults at once.
            adapter, more = _adapter(source_name, read)
            faults.extend(more)
            if adapter is not None:
                adapter.close()
        raise _Faults(faults) from error
    prefixes = tuple(prefix.upper() for prefix in data["prefixes"])
    units = tuple(_unit(unit, source_name) for unit in data["units"])
    time_types = folder / data["time_types"] if data["time_types"] else None
    faults = _disagreements(data, prefixes, units, time_types)
    adapter, more = _adapter(source_name, data)
    faults.extend(more)
    if adapter is None:
        raise _Faults(faults)
    if faults:
        adapter.close()
        raise _Faults(faults)
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
        ),
        adapter=adapter,
        time_types=time_types,
    )


def _adapter(
    name: SourceName, data: Mapping[str, Any]
) -> tuple[SchedulingAdapter | None, list[str]]:
    """Return the adapter that the settings name, or what is wrong with them."""
    try:
        factory = adapter_factory(data["adapter"])
        return factory(name, data.get("options", {})), []
    except UnknownAdapter as error:
        return None, [f"adapter: {error}"]
    except UnusableOptions as error:
        return None, [f"options.{option}: {fault}" for option, fault in error.faults]


def _disagreements(
    data: Mapping[str, Any],
    prefixes: tuple[str, ...],
    units: Sequence[CareUnit],
    time_types: Path | None,
) -> list[str]:
    """Return what each setting allows by itself and together they do not."""
    faults = [
        f"units: {unit.hsa_id} has none of the source's prefixes"
        for unit in units
        if not unit.hsa_id.startswith(prefixes)
    ]
    if not units and data["units_from"] is None:
        faults.append("units: there is none; list them or name a unit in units_from")
    if data["offered_for_s"] < data["fresh_for_s"]:
        faults.append("offered_for_s: is shorter than fresh_for_s")
    if time_types is not None and not time_types.is_file():
        faults.append(f"time_types: there is no file {data['time_types']}")
    return faults


def _unit(data: dict[str, Any], source: SourceName) -> CareUnit:
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
        f"sources.{source.name}.units: {unit.hsa_id} belongs to {owner.name}, whose"
        " prefix is longer"
        for source in sources
        for unit in source.units
        if (owner := source_of_unit(sources, unit.hsa_id)) not in (source, None)
    ]


def _sentences(messages: Mapping[Any, Any], path: str = "") -> list[str]:
    sentences = []
    for key, value in messages.items():
        where = f"{path}{key}"
        if isinstance(value, dict):
            sentences.extend(_sentences(value, f"{where}."))
        else:
            sentences.extend(f"{where}: {message}" for message in value)
    return sentences
