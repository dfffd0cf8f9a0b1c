"""
Identifiers as types.

HSA-ids compare without regard to case (RIV-TA crm:scheduling 1.1.5, chapter 3), so they
are upper case from the moment they are read. A region's own identifiers keep its exact
text, with blanks and case: the region gets them back unchanged.
"""

import re
from functools import lru_cache
from typing import Final, Self

__all__ = [
    "BookingId",
    "CareTypeId",
    "CountyCode",
    "HsaId",
    "LogicalAddress",
    "PerformerId",
    "ResourceId",
    "SourceName",
    "TimeTypeId",
]

# An HSA-id is also a FHIR id (Location, Organization, Practitioner), so it keeps to
# FHIR's alphabet; 31 characters is the limit of the HSA directory.
_HSA_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,30}")
_SOURCE_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")


# ISO 3166-2:SE: the 21 counties (`län`).
_COUNTIES: Final = frozenset(
    {
        *("SE-AB", "SE-AC", "SE-BD", "SE-C", "SE-D", "SE-E", "SE-F", "SE-G", "SE-H"),
        *("SE-I", "SE-K", "SE-M", "SE-N", "SE-O", "SE-S", "SE-T", "SE-U", "SE-W"),
        *("SE-X", "SE-Y", "SE-Z"),
    }
)


class CountyCode(str):
    """
    The code of a county, as `SE-M` (ISO 3166-2:SE), upper case.

    Raises:
        ValueError: No county has that code.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Return the code in upper case, without surrounding blanks."""
        code = value.strip().upper()
        if code not in _COUNTIES:
            raise ValueError(
                "not a county: expected a code of ISO 3166-2:SE, such as SE-M"
            )
        return super().__new__(cls, code)


class HsaId(str):
    """
    An HSA-id of a unit, a person or an organisation, upper case.

    Raises:
        ValueError: It is empty, longer than 31 characters, or has other characters
            than letters, digits, full stop and hyphen.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Return the identifier in upper case, without surrounding blanks."""
        stripped = value.strip()
        # Before upper(), which makes plain letters of others: U+017F becomes "S".
        if not _HSA_ID.fullmatch(stripped):
            raise ValueError(
                "not an HSA-id: expected 1 to 31 letters, digits, '.' and '-'"
            )
        return super().__new__(cls, stripped.upper())


class SourceName(str):
    """
    The configured name of one source, as `norr`.

    Raises:
        ValueError: It is not 1 to 31 lower-case letters, digits and hyphens that
            begin with a letter.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Return the name unchanged."""
        if not _SOURCE_NAME.fullmatch(value):
            raise ValueError(
                "not a source name: expected a lower-case letter followed by up to 30"
                " lower-case letters, digits and '-'"
            )
        return super().__new__(cls, value)


class LogicalAddress(str):
    """Where the service platform routes a message: most often a unit's HSA-id."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Return the address without blanks around: the platform answers VP004."""
        return super().__new__(cls, value.strip())


class TimeTypeId(str):
    """A unit's own code for a time type (`tidstyp`); it means nothing elsewhere."""

    __slots__ = ()

    @property
    def code(self) -> Self:
        """Return it as a FHIR code: with single blanks, and none around it."""
        return type(self)(" ".join(self.split()))


class PerformerId(str):
    """
    A source's own identifier of a time's performer.

    The contract says an HSA-id; TakeCare writes a kind of resource, others an employee
    number.
    """

    __slots__ = ()

    @property
    def hsa_id(self) -> HsaId | None:
        """Return it as an HSA-id; None where it is not one."""
        return _hsa_id_or_none(self)


class CareTypeId(str):
    """
    A unit's own code for a care type: show it and send it back, but never interpret it.
    """

    __slots__ = ()


class ResourceId(str):
    """A unit's own code for a room, a team or a person; never shown to a client."""

    __slots__ = ()


class BookingId(str):
    """A region's identity of a booking, unique within its producer."""

    __slots__ = ()


@lru_cache(maxsize=16_384)
def _hsa_id_or_none(text: str) -> HsaId | None:
    # A complete one has a hyphen (crm:scheduling 1.1.5, chapter 3).
    if "-" not in text:
        return None
    try:
        return HsaId(text)
    except ValueError:
        return None
