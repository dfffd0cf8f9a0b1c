"""
The options by which every SOAP adapter reaches its producer.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate

from fhir_gateway.adapters.pem_file import pem_fault
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.loopback import is_loopback

__all__ = ["NOT_BLANK", "EndpointSchema", "check_hsa_id", "option_faults"]


def option_faults(
    messages: Mapping[Any, Any], path: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield the name and the fault of each wrong option."""
    for key, value in messages.items():
        if isinstance(value, dict):
            # A fault of a list stands under the number of its item.
            yield from option_faults(value, f"{path}{key}.")
        else:
            yield from ((f"{path}{key}", str(fault)) for fault in value)


NOT_BLANK: Final = validate.Regexp(r"\s*\S", error="Must not be blank.")
# The characters of an HTTP address, and the one name that is replaced in it.
_ENDPOINT: Final = re.compile(
    r"https?://[^/?#@{}\s]+(?:[/?](?:[!\x22$-z|~]|\{interaction\})*)?"
)


def _endpoint_faults(endpoint: str) -> Iterator[str]:
    if not endpoint.startswith(("http://", "https://")):
        yield "is not an http or https URL"
    elif "@" in endpoint.split("/", 3)[2]:
        yield "has a user name in it: a source identifies us by our certificate"
    elif not _ENDPOINT.fullmatch(endpoint) or not _has_address(endpoint):
        yield (
            "is no URL that can be asked: expected https://host/path, where"
            " {interaction} alone may stand in braces"
        )
    elif endpoint.startswith("http://") and not is_loopback(_host(endpoint)):
        yield (
            "sends residents' numbers over the network in plain text: use https://, or"
            " a proxy for TLS on this machine (http://127.0.0.1:…)"
        )


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).hostname or ""


def _has_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_endpoint(endpoint: str) -> None:
    if faults := list(_endpoint_faults(endpoint)):
        raise ValidationError(faults)


def check_hsa_id(text: str) -> None:
    """
    Check an option that is an HSA-id.

    Raises:
        ValidationError: It is none.
    """
    try:
        HsaId(text)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def _check_pem(option: str, path: str) -> None:
    if fault := pem_fault(option, path):
        raise ValidationError(fault)


class EndpointSchema(Schema):
    """
    Where a producer is, and how we identify ourselves to it.

    Each check belongs to one field, so a fault of one field hides none of another.
    """

    endpoint = fields.String(required=True, validate=_check_endpoint)
    consumer = fields.String(load_default=None, validate=check_hsa_id)
    certificate = fields.String(
        load_default=None, validate=partial(_check_pem, "certificate")
    )
    trust = fields.String(load_default=None, validate=partial(_check_pem, "trust"))
