"""
The scopes that the issuer grants: those of a login, and SMART's.
"""

import re
from typing import Final

__all__ = ["SYSTEM", "USERS", "directory_scopes", "granted_scopes"]

USERS: Final = frozenset({"patient", "user"})
"""The contexts of SMART scopes that persons grant."""

SYSTEM: Final = frozenset({"system"})
"""The context of SMART scopes that programs get for themselves."""

_OF_A_LOGIN: Final = frozenset(
    {
        "openid",
        "profile",
        "https://id.oidc.se/scope/naturalPersonNumber",
        "commission",
    }
)
_DIRECTORY: Final = (
    *("Slot", "Schedule", "HealthcareService", "Location", "Organization"),
    *("Practitioner", "PractitionerRole"),
)
# SMART App Launch 2.2, and the forms of version 1.
_SCOPE: Final = re.compile(
    r"(?P<context>patient|user|system)/(?:\*|[A-Z][A-Za-z]{0,63})"
    r"\.(?:(?=[cruds])c?r?u?d?s?|read|write|\*)(?:\?[!-~]{1,500})?"
)


def directory_scopes(context: str, *more: str) -> frozenset[str]:
    """
    Return the scopes to read free times and the directory, and further ones.

    Args:
        context: As `patient`.
        more: As `Appointment.cruds`.
    """
    return frozenset(
        f"{context}/{each}" for each in (*(f"{t}.rs" for t in _DIRECTORY), *more)
    )


def granted_scopes(
    requested: str | None, contexts: frozenset[str], default: frozenset[str]
) -> frozenset[str]:
    """
    Return the scopes that are granted; empty where none of the requested can be.

    A scope that is unknown, or of another context, is left out (RFC 6749, 3.3): the
    answer names those that were granted.

    Args:
        requested: The parameter `scope`, or None.
        contexts: The contexts of SMART scopes that can be granted.
        default: What is granted when nothing is requested.
    """
    if requested is None:
        return default
    logs_in = not contexts & SYSTEM
    return frozenset(
        scope
        for scope in requested.split(" ")
        if (logs_in and scope in _OF_A_LOGIN)
        or ((match := _SCOPE.fullmatch(scope)) and match["context"] in contexts)
    )
