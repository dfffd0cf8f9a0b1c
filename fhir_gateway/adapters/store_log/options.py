"""
The file of the log service, described in docs/configuration.md.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from marshmallow import fields, post_load, validate

from fhir_gateway.adapters.endpoint_schema import (
    NOT_BLANK,
    EndpointSchema,
    check_hsa_id,
)
from fhir_gateway.adapters.schema_fault import faults_of_file, unknown_key
from fhir_gateway.model.ids import HsaId, LogicalAddress
from fhir_gateway.model.toml_file import WrongFile, read_toml

__all__ = [
    "LogServiceOptions",
    "LogServiceSchema",
    "WrongLogService",
    "log_service_options",
]

# Inera's national HSA-id, which the WSDL names as the logical address.
_NATIONAL: Final = "SE165565594230-1000"
# Shorter than the lease of the entries in the outbox.
_LONGEST_S: Final = 60


class WrongLogService(WrongFile):
    """The file of the log service cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogServiceOptions:
    """
    How to reach a log service, and as which system.

    Attributes:
        endpoint: Its URL.
        logical_address: The address by which the platform routes to it.
        system_id: Our HSA-id, in each entry.
        system_name: Our name, in each entry.
        consumer: Our HSA-id at the service platform.
        certificate: A PEM file with our certificate and its key.
        trust: A PEM file with the certificates that we trust.
        timeout: The longest time for a call.
    """

    endpoint: str
    logical_address: LogicalAddress
    system_id: HsaId
    system_name: str | None
    consumer: HsaId
    certificate: str | None
    trust: str | None
    timeout: timedelta


def log_service_options(path: Path) -> LogServiceOptions:
    """
    Return the options in a TOML file.

    Raises:
        WrongLogService: The file is absent, is no TOML, or has a faulty setting; all
            faults are listed.
    """
    with faults_of_file(path, WrongLogService):
        loaded: LogServiceOptions = LogServiceSchema().load(read_toml(path))
    return loaded


class LogServiceSchema(EndpointSchema):
    """The settings of a log service."""

    error_messages = unknown_key("is no setting of a log service")

    logical_address = fields.String(load_default=_NATIONAL, validate=NOT_BLANK)
    system_id = fields.String(required=True, validate=check_hsa_id)
    system_name = fields.String(
        load_default=None, validate=[NOT_BLANK, validate.Length(max=256)]
    )
    timeout_s = fields.Integer(
        strict=True, load_default=30, validate=validate.Range(1, _LONGEST_S)
    )

    @post_load
    def _options(self, data: dict[str, Any], **_: object) -> LogServiceOptions:
        system_id = HsaId(data["system_id"])
        return LogServiceOptions(
            endpoint=data["endpoint"],
            logical_address=LogicalAddress(data["logical_address"]),
            system_id=system_id,
            system_name=data["system_name"],
            consumer=HsaId(data["consumer"] or system_id),
            certificate=data["certificate"],
            trust=data["trust"],
            timeout=timedelta(seconds=data["timeout_s"]),
        )
