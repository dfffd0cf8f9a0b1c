"""
SOAP faults, and the codes of the service platform (skltp/vp, VpSemanticErrorCodeEnum).

A code is read from the start of `faultstring` alone: `faultcode` and the HTTP status
do not agree with it.
"""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Fault"]

# Ten or twelve digits, as SKV 704 and reserve numbers have; not those of an HSA-id.
_PERSONAL: Final = re.compile(
    r"(?<!\d)(?<!SE)(?:\d\d)?\d{6}[-+ ]?[\dPTFptf]\d{3}(?!\d)"
)
_MOST_CHARACTERS: Final = 300
_PLATFORM_CODE: Final = re.compile(r"\s*(VP[0-9]{3})(?![0-9])")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Fault:
    """
    A SOAP 1.1 fault.

    Its texts are the other system's: never logged, and shown to nobody but an operator
    who checks a source.

    Attributes:
        code: `faultcode`, as `soap:Server`.
        text: `faultstring`.
    """

    code: str
    text: str

    @property
    def platform_code(self) -> str | None:
        """Return the platform's code, as `VP009`, or None for a producer's fault."""
        match = _PLATFORM_CODE.match(self.text)
        return match[1] if match else None

    @property
    def masked_text(self) -> str:
        """Return the text on one line, cut short, without personal numbers."""
        line = " ".join(self.text.split())
        shown = "".join(each for each in line if each.isprintable())
        return _PERSONAL.sub("…", shown)[:_MOST_CHARACTERS]
