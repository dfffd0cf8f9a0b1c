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
    plain = "".join(
        each
        for each in unicodedata.normalize("NFKD", text.casefold())
        if not unicodedata.combining(each)
    )
    return " ".join(plain.split())
