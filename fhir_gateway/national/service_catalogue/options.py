"""
The service catalogues in the file of sources, described in docs/configuration.md.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validate

from fhir_gateway.adapters.endpoint_schema import (
    NOT_BLANK,
    EndpointSchema,
    check_hsa_id,
)
from fhir_gateway.adapters.schema_fault import sentences_from_messages, unknown_key
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.toml_file import UnreadableToml, WrongFile, read_toml

__all__ = [
    "ConfiguredServiceCatalogue",
    "Questions",
    "ServiceCatalogueOptions",
    "ServiceCatalogueSchema",
    "WrongServiceCatalogues",
    "load_service_catalogues",
]

# Inera's number, the owner of the national catalogue.
_NATIONAL: Final = "5565594230"
_LONGEST_S: Final = 60
_TABLE: Final = "service_catalogues"


class Questions(Enum):
    """What the catalogue is asked: the units of a contract, or contracts of a unit."""

    BY_CONTRACT = "by-contract"
    BY_UNIT = "by-unit"


class WrongServiceCatalogues(WrongFile):
    """A service catalogue in the file of sources cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCatalogueOptions:
    """
    How to reach a service catalogue.

    Attributes:
        endpoint: Its URL.
        logical_address: The address by which the platform routes to it.
        consumer: Our HSA-id at the service platform; it answers what we may call.
        certificate: A PEM file with our certificate and its key.
        trust: A PEM file with the certificates that we trust.
        timeout: The longest time for a call.
        questions: What it is asked.
        asked_every: How long an answer counts as new.
        kept: After how long an answer is forgotten, if no newer one arrives.
    """

    endpoint: str
    logical_address: LogicalAddress
    consumer: HsaId
    certificate: str | None
    trust: str | None
    timeout: timedelta
    questions: Questions
    asked_every: timedelta
    kept: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredServiceCatalogue:
    """
    A service catalogue and the sources of which it knows the units.
    """

    name: SourceName
    sources: frozenset[SourceName]
    options: ServiceCatalogueOptions


class ServiceCatalogueSchema(EndpointSchema):
    """The settings of a service catalogue."""

    error_messages = unknown_key("is no setting of a service catalogue")

    consumer = fields.String(required=True, validate=check_hsa_id)
    logical_address = fields.String(load_default=_NATIONAL, validate=NOT_BLANK)
    timeout_s = fields.Integer(
        strict=True, load_default=20, validate=validate.Range(1, _LONGEST_S)
    )
    questions = fields.Enum(
        Questions, by_value=True, load_default=Questions.BY_CONTRACT
    )
    asked_every_s = fields.Integer(
        strict=True, load_default=3_600, validate=validate.Range(10, 86_400)
    )
    kept_hours = fields.Integer(
        strict=True, load_default=168, validate=validate.Range(1, 8_760)
    )
    sources = fields.List(
        fields.String(validate=NOT_BLANK),
        load_default=None,
        validate=validate.Length(min=1),
    )

    @post_load
    def _options(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        return {
            "sources": data["sources"],
            "options": ServiceCatalogueOptions(
                endpoint=data["endpoint"],
                logical_address=LogicalAddress(data["logical_address"]),
                consumer=HsaId(data["consumer"]),
                certificate=data["certificate"],
                trust=data["trust"],
                timeout=timedelta(seconds=data["timeout_s"]),
                questions=data["questions"],
                asked_every=timedelta(seconds=data["asked_every_s"]),
                kept=timedelta(hours=data["kept_hours"]),
            ),
        }


def load_service_catalogues(
    path: Path, sources: Collection[SourceName]
) -> tuple[ConfiguredServiceCatalogue, ...]:
    """
    Return the service catalogues in a file of sources.

    Args:
        path: The file.
        sources: The names of the sources in it.

    Raises:
        WrongServiceCatalogues: One cannot be used; all faults are listed.
    """
    try:
        tables = read_toml(path).get(_TABLE, {})
    except UnreadableToml as error:
        raise WrongServiceCatalogues(path, [str(error)]) from error
    if not isinstance(tables, Mapping):
        raise WrongServiceCatalogues(
            path, [f"{_TABLE}: is no table; write [{_TABLE}.NAME]"]
        )
    configured: list[ConfiguredServiceCatalogue] = []
    faults: list[str] = []
    for name, table in tables.items():
        where = f"{_TABLE}.{name}"
        if not isinstance(table, Mapping):
            faults.append(f"{where}: is no table")
            continue
        try:
            loaded: dict[str, Any] = ServiceCatalogueSchema().load(table)
            covered = frozenset(map(SourceName, loaded["sources"] or sources))
            configured.append(
                ConfiguredServiceCatalogue(
                    name=SourceName(name), sources=covered, options=loaded["options"]
                )
            )
        except ValidationError as error:
            wrong = sentences_from_messages(error.messages_dict)
            faults.extend(f"{where}.{fault}" for fault in wrong)
        except ValueError as error:
            faults.append(f"{where}: a name in it is {error}")
        else:
            faults.extend(
                f"{where}.sources: there is no source {each}"
                for each in sorted(covered - frozenset(sources))
            )
    faults.extend(_doubles(configured))
    if faults:
        raise WrongServiceCatalogues(path, faults)
    return tuple(configured)


def _doubles(configured: Sequence[ConfiguredServiceCatalogue]) -> list[str]:
    owners: dict[SourceName, SourceName] = {}
    faults = []
    for catalogue in configured:
        for source in sorted(catalogue.sources):
            owner = owners.setdefault(source, catalogue.name)
            if owner != catalogue.name:
                faults.append(
                    f"{_TABLE}.{catalogue.name}.sources: {source} has the catalogue"
                    f" {owner} already"
                )
    return faults
