"""
Reads the parameters of a request strictly (RFC 6749, 3.1, 3.2 and appendix A).
"""

import re
from collections.abc import Mapping
from typing import Final

from werkzeug.datastructures import MultiDict

from fhir_gateway.sandbox.issuer.oauth_error import ErrorName, OAuthError

__all__ = ["LONGEST_TOKEN", "LONGEST_VALUE", "parameters_from", "required"]

LONGEST_VALUE: Final = 2_048
"""The most characters of a parameter that is no token."""

LONGEST_TOKEN: Final = 8_192
"""The most characters of a token or a client assertion."""

_MOST_PARAMETERS: Final = 40
_TOKENS: Final = frozenset({"client_assertion", "token"})
# VSCHAR of appendix A: no control character, nothing beyond ASCII.
_VISIBLE: Final = re.compile(r"[\x20-\x7e]*")


def parameters_from(values: MultiDict[str, str]) -> Mapping[str, str]:
    """
    Return each parameter once; one without a value counts as absent.

    Parameters with names that nobody knows are ignored by who reads the mapping.

    Raises:
        OAuthError: A parameter is repeated, too long, or not plain ASCII.
    """
    found: dict[str, str] = {}
    if sum(1 for _ in values.items(multi=True)) > _MOST_PARAMETERS:
        raise _invalid(f"There are more than {_MOST_PARAMETERS} parameters.")
    for name, value in values.items(multi=True):
        if name in found:
            raise _invalid("A parameter is repeated; send each at most once.")
        longest = LONGEST_TOKEN if name in _TOKENS else LONGEST_VALUE
        if len(value) > longest:
            raise _invalid(f"A parameter has more than {longest} characters.")
        if not _VISIBLE.fullmatch(value):
            raise _invalid("A parameter has other characters than printable ASCII.")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def required(parameters: Mapping[str, str], name: str) -> str:
    """
    Return the value of a parameter.

    Raises:
        OAuthError: It is absent.
    """
    try:
        return parameters[name]
    except KeyError:
        raise _invalid(f"The parameter {name} is missing.") from None


def _invalid(description: str) -> OAuthError:
    return OAuthError(ErrorName.INVALID_REQUEST, description)
