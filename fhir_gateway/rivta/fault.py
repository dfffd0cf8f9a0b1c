"""
SOAP faults, and the codes of the service platform (skltp/vp, VpSemanticErrorCodeEnum).

The platform's code stands at the start of `faultstring`. `faultcode` and the HTTP
status do not agree with it, so they are not used.
"""

import html
import re
from dataclasses import dataclass
from typing import Final

from fhir_gateway.model.number_text import has_number, mask_numbers, plain_digits

__all__ = ["Fault"]

# Ten or twelve digits, the forms of SKV 704 and of reserve numbers, also with more
# digits around them; not the digits of an HSA-id.
_PERSONAL: Final = re.compile(r"(?<!\d)(?<!SE)\d{6,}[-+ ]?[\dPTFptf]\d{3,}")
# What the contract's times look like in this century: they are no personal number.
_TIME: Final = re.compile(r"20\d\d[01]\d[0-3]\d[0-2]\d[0-5]\d[0-5]\d")
_DIGITS_OF_NUMBER: Final = 12
# How often a text may be escaped before digits in it are no longer read.
_MOST_ESCAPED: Final = 3
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
        text = self.text
        for _ in range(_MOST_ESCAPED):
            text = html.unescape(text)
        line = " ".join(plain_digits(text).split())
        shown = "".join(each for each in line if each.isprintable())
        masked = _PERSONAL.sub(_mask, shown)
        masked = mask_numbers(masked, _MASK)
        return masked[:_MOST_CHARACTERS]


def _mask(found: re.Match[str]) -> str:
    """Return what is shown of digits in the form of a personal number: a time alone."""
    is_time = _TIME.fullmatch(found[0]) is not None
    return (
        found[0] if is_time and not has_number(found[0][:_DIGITS_OF_NUMBER]) else _MASK
    )
