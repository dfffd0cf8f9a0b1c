"""
Personal numbers in texts that logs may keep.
"""

import re
from typing import Final

from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["has_personal_number"]

_DIGITS: Final = re.compile(r"(?<![0-9])([0-9]{8})[-+]?([0-9]{4})(?![0-9])")


def has_personal_number(text: str) -> bool:
    """Return whether a text has a personal number of twelve digits."""
    for found in _DIGITS.finditer(text):
        try:
            PersonalIdentityNumber(found[1] + found[2])
        except ValueError:
            continue
        return True
    return False
