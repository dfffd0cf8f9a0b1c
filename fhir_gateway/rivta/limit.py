"""
How large an answer may be, and how long a text in it.
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
    """What a document may have: an answer with more is not read."""

    most_bytes: int
    most_elements: int


# The service platform's own limit for a message (skltp/vp, maxMessageSize), and the
# elements that so many bytes of free times have.
ANSWER: Final = Limit(15_728_640, 500_000)
# Time types, staff, units: a region has hundreds.
LIST: Final = Limit(4_194_304, 100_000)
# What is asked about one resident, and the answer to a write: read in a web process,
# while the resident waits.
PERSONAL: Final = Limit(2_097_152, 50_000)

# Bytes of all heads of one answer: the final one, and every interim one before it.
MOST_OF_HEADS: Final = 65_536

# Characters. An item whose identifier is longer is left out; a longer name or text is
# left out of its item.
MOST_OF_IDENTIFIER: Final = 256
MOST_OF_NAME: Final = 400
MOST_OF_TEXT: Final = 20_000
