"""
SOAP faults, and the codes of the service platform (skltp/vp, VpSemanticErrorCodeEnum).

The platform's code stands at the start of `faultstring`. `faultcode` and the HTTP
status do not agree with it, so they are not used.
"""

import re
from dataclasses import dataclass
from typing import Final

from fhir_gateway.model.number_text import mask_numbers, plain_digits

__all__ = ["Fault"]

# Ten or twelve digits, the forms of SKV 704 and of reserve numbers; not the digits of
# an HSA-id.
_PERSONAL: Final = re.compile(
    r"(?<!\d)(?<!SE)(?:\d\d)?\d{6}[-+ ]?[\dPTFptf]\d{3}(?!\d)"
)
_MASK: Final = "…"
_MOST_CHARACTERS: Final = 300
_PLATFORM_CODE: Final = re.compile(r"\s*(VP[0-9]{3})(?![0-9])")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Fault:
    """
    A SOAP 1.1 fault.

    The other system wrote its texts: they are never logged, and only an operator who
    checks a source sees them.

    Attributes:
        code: `faultcode`, for example `soap:Server`.
        text: `faultstring`.
    """

    code: str
    text: str

    @property
    def platform_code(self) -> str | None:
        """Return the platform's code (`VP009`); None for a producer's own fault."""
        match = _PLATFORM_CODE.match(self.text)
        return match[1] if match else None

    @property
    def masked_text(self) -> str:
        """Return the text on one line, shortened, without personal numbers."""
        line = " ".join(plain_digits(self.text).split())
        shown = "".join(each for each in line if each.isprintable())
        masked = _PERSONAL.sub(_MASK, shown)
        masked = mask_numbers(masked, _MASK)
        return masked[:_MOST_CHARACTERS]
