"""
Folded text: texts that a search by name takes for equal (FHIR R4, 3.1.1.4.6).
"""

import unicodedata
from functools import lru_cache
from typing import Final

__all__ = ["folded"]

_MOST: Final = 2**16


@lru_cache(maxsize=_MOST)
def folded(text: str) -> str:
    """Return a text without case and accents, each run of blanks as one."""
    if not text.isascii():
        # Before the case: a sign such as TEL in one character becomes capitals.
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(each for each in parts if not unicodedata.combining(each))
    return " ".join(text.casefold().split())
