"""
Limits of answers: their bytes and elements, and the length of a text.
"""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ANSWER",
    "LIST",
    "MOST_OF_HEADS",
    "MOST_OF_IDENTIFIER",
    "MOST_OF_NAME",
    "MOST_OF_TEXT",
    "PERSONAL",
    "Limit",
]


@dataclass(frozen=True, slots=True)
class Limit:
    """The most bytes and elements of a document; a larger answer is not read."""

    most_bytes: int
    most_elements: int


# The service platform's own limit for a message (skltp/vp, maxMessageSize), and the
# number of elements in free times of that many bytes.
ANSWER: Final = Limit(15_728_640, 500_000)
# Time types, staff, units: a region has hundreds.
LIST: Final = Limit(4_194_304, 100_000)
# An answer about one resident, or to a write: a web process reads it while the resident
# waits.
PERSONAL: Final = Limit(2_097_152, 50_000)

# Bytes of all HTTP heads of one answer: the final head and every interim one.
MOST_OF_HEADS: Final = 65_536

# Characters. An item with a longer identifier is left out; a longer name or text is
# left out of its item.
MOST_OF_IDENTIFIER: Final = 256
MOST_OF_NAME: Final = 400
MOST_OF_TEXT: Final = 20_000
