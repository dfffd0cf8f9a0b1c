"""
Namespaces of RIV-TA: which belong to a contract, and which are extensions (RIVTABP21).

An element is known by its local name in three cases: it has the namespace that the
schema gives it, another one of the same family (for example `urn:riv:crm:scheduling:`),
or none.
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
    "without_one_letter",
]

# A service domain, often the contract, and the version (RIVTABP21).
_NAMESPACE: Final = re.compile(
    r"(?P<family>urn:riv:(?:\w+:)+?)(?:\w+Responder:)?(?P<major>\d+)(?:\.\d+)?"
)
# An element of these namespaces is no extension; written as `likeness_of` returns them.
_OWN_HEADERS: Final = "urnrivinteroperabilityheaders1"
# An element of these refers to a part of the message that stands elsewhere, or wraps
# one: it is no extension.
NO_EXTENSIONS: Final = frozenset(
    {
        NIL_WITH_CONTENT,
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://schemas.xmlsoap.org/soap/encoding/",
        "http://www.w3.org/2001/XInclude",
        "http://www.w3.org/2004/08/xop/include",
    }
)
# The longest name of the contracts has half as many characters.
_LONGEST_NAME: Final = 60
_SIGNS: Final = re.compile(r"[\W_]+")


def is_of_family(tag: str, namespace: str) -> bool:
    """Return whether the local name identifies an element of an expected namespace."""
    return "}" not in tag or tag.startswith(family_of(namespace))


def family_of(namespace: str) -> str:
    """Return the beginning of all tags that are known by their local name."""
    found = _NAMESPACE.fullmatch(namespace)
    return f"{{{found['family']}" if found else f"{{{namespace}}}"


def own_namespaces(namespace: str) -> re.Pattern[str]:
    """
    Return a contract's own namespaces, simplified by `likeness_of`.

    They are the namespaces of its domain and major version, up to the minor version 1.
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
    """Return whether a namespace is one of the contract's, perhaps misspelt."""
    return own.fullmatch(likeness_of(namespace)) is not None


def likeness_of(name: str) -> str:
    """Return a name in lower case without signs, to compare different spellings."""
    return _SIGNS.sub("", name).lower()


def without_one_letter(name: str) -> frozenset[str]:
    """
    Return a name, and the name without each one of its letters.

    Two names with one of these in common are nearly the same: a letter is missing, too
    much or another one, or two neighbours have changed places. Of a very long name only
    the name itself is returned.
    """
    if len(name) > _LONGEST_NAME:
        return frozenset((name,))
    shorter = (name[:place] + name[place + 1 :] for place in range(len(name)))
    return frozenset((name, *shorter))
