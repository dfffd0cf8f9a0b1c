"""
The file of the engagement index, described in docs/configuration.md.
"""

import re
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
    "EngagementIndexOptions",
    "EngagementIndexSchema",
    "WrongEngagementIndex",
    "engagement_index_options",
]

# Shorter than the lease of the outbox.
_LONGEST_S: Final = 60
# The thumbprint of a certificate (RFC 8705, 3.1): SHA-256 in base64url.
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class WrongEngagementIndex(WrongFile):
    """The file of the engagement index cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngagementIndexOptions:
    """
    How to reach an engagement index, and who may notify in its name.

    Attributes:
        endpoint: Its URL.
        logical_address: The address by which the platform routes to it.
        consumer: Our HSA-id at the service platform.
        certificate: A PEM file with our certificate and its key.
        trust: A PEM file with the certificates that we trust.
        timeout: The longest time for a call.
        finds_content: It may be asked for a resident's posts (FindContent).
        asked_again_after: How long its answer about a resident stays valid.
        kept: How long a post is kept after its time.
        notified_as: Our HSA-id, the logical address of notifications.
        notifiers: The HSA-ids and thumbprints of the certificates that may notify.
    """

    endpoint: str
    logical_address: LogicalAddress
    consumer: HsaId | None
    certificate: str | None
    trust: str | None
    timeout: timedelta
    finds_content: bool
    asked_again_after: timedelta
    kept: timedelta
    notified_as: HsaId | None
    notifiers: frozenset[str]


def engagement_index_options(path: Path) -> EngagementIndexOptions:
    """
    Return the options in a TOML file.

    Raises:
        WrongEngagementIndex: The file is absent, is no TOML, or has a faulty setting;
            all faults are listed.
    """
    with faults_of_file(path, WrongEngagementIndex):
        loaded: EngagementIndexOptions = EngagementIndexSchema().load(read_toml(path))
    return loaded


def _check_notifier(text: str) -> None:
    if not _THUMBPRINT.fullmatch(text):
        check_hsa_id(text)


class EngagementIndexSchema(EndpointSchema):
    """The settings of an engagement index."""

    error_messages = unknown_key("is no setting of an engagement index")

    logical_address = fields.String(required=True, validate=NOT_BLANK)
    timeout_s = fields.Integer(
        strict=True, load_default=20, validate=validate.Range(1, _LONGEST_S)
    )
    finds_content = fields.Boolean(load_default=False)
    asked_again_after_s = fields.Integer(
        strict=True, load_default=300, validate=validate.Range(0, 86_400)
    )
    kept_days = fields.Integer(
        strict=True, load_default=90, validate=validate.Range(1, 366)
    )
    notified_as = fields.String(load_default=None, validate=check_hsa_id)
    notifiers = fields.List(fields.String(validate=_check_notifier), load_default=list)

    @post_load
    def _options(self, data: dict[str, Any], **_: object) -> EngagementIndexOptions:
        return EngagementIndexOptions(
            endpoint=data["endpoint"],
            logical_address=LogicalAddress(data["logical_address"]),
            consumer=_hsa_id(data["consumer"]),
            certificate=data["certificate"],
            trust=data["trust"],
            timeout=timedelta(seconds=data["timeout_s"]),
            finds_content=data["finds_content"],
            asked_again_after=timedelta(seconds=data["asked_again_after_s"]),
            kept=timedelta(days=data["kept_days"]),
            notified_as=_hsa_id(data["notified_as"]),
            notifiers=frozenset(
                each if _THUMBPRINT.fullmatch(each) else HsaId(each)
                for each in data["notifiers"]
            ),
        )


def _hsa_id(text: str | None) -> HsaId | None:
    return None if text is None else HsaId(text)
