"""
The form of a SNOMED CT identifier (Release File Specifications, 6: SCTID).
"""

import re
from typing import Final

__all__ = ["is_concept_id"]

# 6 to 18 digits: the item, in the long form a namespace of seven digits, the partition,
# a check digit. 00 and 10 are the partitions of concepts.
_CONCEPT_ID: Final = re.compile(r"[1-9][0-9]{2,14}00[0-9]|[1-9][0-9]{7,14}10[0-9]")
# The symmetries from here on are flips.
_TURNS: Final = 5
_PERMUTATION: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def is_concept_id(code: str) -> bool:
    """Return whether a code has the form and the check digit of a concept's id."""
    if not _CONCEPT_ID.fullmatch(code):
        return False
    check = 0
    for place, digit in enumerate(reversed(code)):
        permuted = int(digit)
        for _ in range(place % 8):
            permuted = _PERMUTATION[permuted]
        check = _product(check, permuted)
    return check == 0


def _product(first: int, second: int) -> int:
    """Return the product of two symmetries of the pentagon, in Verhoeff's order."""
    turned = first + second if first < _TURNS else first - second
    is_flipped = (first < _TURNS) != (second < _TURNS)
    return turned % _TURNS + (_TURNS if is_flipped else 0)
