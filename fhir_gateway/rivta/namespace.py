"""
Namespaces of RIV-TA: which belong to a contract, and which are extensions (RIVTABP21).

An element counts by its local name in three places: the namespace that it should have,
another namespace of the same family (`urn:riv:crm:scheduling:`, say), and none.
"""

import re
from functools import lru_cache
from typing import Final

from fhir_gateway.rivta.xml import NIL_WITH_CONTENT

__all__ = [
    "NO_EXTENSIONS",
    "family_of",
    "is_of_family",
    "is_own",
    "likeness_of",
    "own_namespaces",
]

# A service domain, the contract perhaps, and the version (RIVTABP21).
_NAMESPACE: Final = re.compile(
    r"(?P<family>urn:riv:(?:\w+:)+?)(?:\w+Responder:)?(?P<major>\d+)(?:\.\d+)?"
)
# No element of these is an extension, as `likeness_of` writes the namespace.
_OWN_HEADERS: Final = "urnrivinteroperabilityheaders1"
# An element of these means that a part of the message stands elsewhere, or is in the
# way: it is no extension.
NO_EXTENSIONS: Final = frozenset(
    {
        NIL_WITH_CONTENT,
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://schemas.xmlsoap.org/soap/encoding/",
        "http://www.w3.org/2001/XInclude",
        "http://www.w3.org/2004/08/xop/include",
    }
)
_SIGNS: Final = re.compile(r"[\W_]+")


def is_of_family(tag: str, namespace: str) -> bool:
    """Return whether an element counts by its local name where a namespace is due."""
    return "}" not in tag or tag.startswith(family_of(namespace))


def family_of(namespace: str) -> str:
    """Return how a tag begins that counts by its local name."""
    found = _NAMESPACE.fullmatch(namespace)
    return f"{{{found['family']}" if found else f"{{{namespace}}}"


def own_namespaces(namespace: str) -> re.Pattern[str]:
    """
    Return what a contract's own namespaces look like (`likeness_of`).

    They are those of its domain and major version, up to the minor version 1.
    """
    found = _NAMESPACE.fullmatch(namespace)
    own = (
        f"{likeness_of(found['family'])}([a-z]*responder)?{found['major']}1?"
        if found
        else re.escape(likeness_of(namespace))
    )
    return re.compile(f"{own}|{_OWN_HEADERS}")


@lru_cache(maxsize=64)
def is_own(own: re.Pattern[str], namespace: str) -> bool:
    """Return whether a namespace is, or looks like, one of the contract's."""
    return own.fullmatch(likeness_of(namespace)) is not None


def likeness_of(name: str) -> str:
    """Return a name without case and signs: `subjectOfCare` is `subject_of_care`."""
    return _SIGNS.sub("", name).lower()
