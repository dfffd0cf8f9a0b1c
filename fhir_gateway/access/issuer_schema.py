"""
The settings that the file of issuers may have for an issuer and a client.
"""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate

from fhir_gateway.adapters.schema_fault import unknown_key
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.loopback import is_loopback

__all__ = ["ALGORITHMS", "ClaimsSchema", "ClientSchema", "IssuerSchema"]

ALGORITHMS: Final = ("RS256", "RS384", "ES256", "ES384")
"""The only algorithms that a token may be signed with."""

_LEVELS: Final = (
    "http://id.elegnamnden.se/loa/1.0/loa3",
    "http://id.elegnamnden.se/loa/1.0/loa4",
    "http://id.swedenconnect.se/loa/1.0/uncertified-loa3",
)
_NUMBERS: Final = (
    "https://id.oidc.se/claim/personalIdentityNumber",
    "https://id.oidc.se/claim/coordinationNumber",
)
_NUMBER_LEVEL: Final = "https://id.oidc.se/claim/coordinationNumberLevel"
_LONGEST_S: Final = 3600
_MOST: Final = 500
_SHORTEST_PREFIX: Final = len("SE2321000016")
# RFC 3986: the characters of a URL, without the fragment.
_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:[/?][!-\"$-~]*)?")
# RFC 6749, appendix A: VSCHAR.
_VISIBLE: Final = validate.Regexp(
    r"[ -~]+\Z", error="Must be printable ASCII, and not empty."
)


def _check_url(url: str) -> str:
    """Return a URL that a token, or a personal number, may travel to."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValidationError("Must be a URL such as https://host/path.") from None
    if not _URL.fullmatch(url) or not host or port == 0 or len(url) > _MOST:
        raise ValidationError(
            "Must be a URL such as https://host/path, without user name and #."
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ValidationError(
            "Must begin with https://: anybody on the way could change what comes over"
            " http://, which is for loopback only."
        )
    return url


def _check_issuer(url: str) -> str:
    # OpenID Connect Discovery 1.0, section 3: no query.
    if "?" in _check_url(url):
        raise ValidationError("Must have no query.")
    return url


def _check_algorithm(name: str) -> str:
    if name.startswith("HS"):
        raise ValidationError(
            f"Must be of {', '.join(ALGORITHMS)}: anybody who can check a signature of"
            " a symmetric algorithm can make one."
        )
    if name not in ALGORITHMS:
        raise ValidationError(f"Must be of {', '.join(ALGORITHMS)}.")
    return name


def _hsa_id(text: str) -> HsaId:
    try:
        return HsaId(text)
    except ValueError:
        raise ValidationError(
            "Must be an HSA-id: 1 to 31 letters, digits, '.' and '-'."
        ) from None


def _prefix(text: str) -> HsaId:
    # A shorter one would be that of several organisations.
    if len(text) < _SHORTEST_PREFIX:
        raise ValidationError(
            "Must have the whole number of an organisation, such as SE2321000016."
        )
    return _hsa_id(text)


def _url(check: Callable[[str], str] = _check_url, **options: Any) -> fields.String:  # noqa: ANN401 - a marshmallow field has options of many types
    return fields.String(post_load=check, **options)


def _texts(field: fields.String, **options: Any) -> fields.List[str]:  # noqa: ANN401 - a marshmallow field has options of many types
    """Return a field for a list of texts, which is not empty."""
    return fields.List(
        field,
        validate=validate.Length(min=1, error="Must not be an empty list."),
        **options,
    )


def _claim(name: str) -> fields.String:
    return fields.String(load_default=name, validate=_VISIBLE)


class ClaimsSchema(Schema):
    """The names of an issuer's claims."""

    error_messages = unknown_key("is no claim that this server reads")

    number = _texts(fields.String(validate=_VISIBLE), load_default=_NUMBERS)
    number_level = _claim(_NUMBER_LEVEL)
    staff = _claim("employeeHsaId")
    assignment = _claim("commissionHsaId")
    purpose = _claim("commissionPurpose")
    unit = _claim("healthCareUnitHsaId")
    provider = _claim("healthCareProviderHsaId")


class IssuerSchema(Schema):
    """The settings of an issuer."""

    error_messages = unknown_key("is no setting of an issuer")

    issuer = _url(_check_issuer, required=True)
    jwks_uri = _url(required=True)
    trust = fields.String(load_default=None, validate=validate.Length(min=1))
    audience = fields.String(load_default=None, validate=_VISIBLE)
    roles = _texts(
        fields.String(
            validate=validate.OneOf(("resident", "staff", "system", "operator"))
        ),
        required=True,
    )
    algorithms = _texts(
        fields.String(post_load=_check_algorithm), load_default=ALGORITHMS
    )
    acr = _texts(fields.String(validate=_VISIBLE), load_default=_LEVELS)
    longest_token_s = fields.Integer(
        strict=True, load_default=_LONGEST_S, validate=validate.Range(1, _LONGEST_S)
    )
    authorization_endpoint = _url(load_default=None)
    token_endpoint = _url(load_default=None)
    introspection_endpoint = _url(load_default=None)
    claims = fields.Nested(ClaimsSchema, load_default=lambda: ClaimsSchema().load({}))


class ClientSchema(Schema):
    """The settings of a client."""

    error_messages = unknown_key("is no setting of a client")

    issuer = fields.String(required=True)
    id = fields.String(required=True, validate=_VISIBLE)
    role = fields.String(required=True, validate=validate.OneOf(("system", "operator")))
    units = _texts(fields.String(post_load=_prefix), load_default=())
    organisation = fields.String(post_load=_hsa_id, load_default=None)
