"""
What one request may hold at most: the only place where these numbers stand.

Each is checked before what it limits is parsed, and an answer that refuses says it.
docs/configuration.md lists them, docs/performance.md says what a request at the limits
costs.
"""

from typing import Final

__all__ = [
    "MOST_COMMENT_CHARACTERS",
    "MOST_EMAIL_CHARACTERS",
    "MOST_FORM_BYTES",
    "MOST_GIVEN_NAMES_CHARACTERS",
    "MOST_HEADERS",
    "MOST_HEADER_BYTES",
    "MOST_JSON_BYTES",
    "MOST_JSON_DEPTH",
    "MOST_JSON_ITEMS",
    "MOST_JSON_KEYS",
    "MOST_NAME_CHARACTERS",
    "MOST_PARAMETERS",
    "MOST_PATCH_OPERATIONS",
    "MOST_PHONE_CHARACTERS",
    "MOST_REASON_CHARACTERS",
    "MOST_REASON_JSON_CHARACTERS",
    "MOST_SEARCH_VALUES",
    "MOST_SENT_BACK_BYTES",
    "MOST_TARGET_BYTES",
    "MOST_VALUE_CHARACTERS",
]

MOST_TARGET_BYTES: Final = 8_192
"""Bytes of the request target: path and query."""

MOST_HEADERS: Final = 64
"""Header fields of a request."""

MOST_HEADER_BYTES: Final = 16_384
"""Bytes of all header fields together, names and values."""

MOST_FORM_BYTES: Final = 16_384
"""Bytes of a form, which only a search by POST has."""

MOST_JSON_BYTES: Final = 32_768
"""Bytes of a body of JSON: an Appointment, Parameters or a JSON Patch."""

MOST_SENT_BACK_BYTES: Final = 393_216
"""
Bytes of a body that may hold an Appointment as it was read here: of PUT, `$hold`,
`$book`, `$cancel` and `$reschedule`.

The regions' texts are the larger part of it: as this server writes it, an Appointment
is never larger.
"""

MOST_JSON_DEPTH: Final = 32
"""Objects and lists within each other in a body of JSON."""

MOST_JSON_KEYS: Final = 1_000
"""Keys of all objects of a body of JSON together."""

MOST_JSON_ITEMS: Final = 1_000
"""Commas of a body of JSON, which is how many members and items it has."""

MOST_PATCH_OPERATIONS: Final = 20
"""Operations of a JSON Patch."""

MOST_PARAMETERS: Final = 100
"""Parameters of a search, or of an operation."""

MOST_SEARCH_VALUES: Final = 200
"""Values of all parameters of a search together: a comma parts two of them."""

MOST_VALUE_CHARACTERS: Final = 512
"""Characters of one of those values, and of a parameter's name."""

MOST_NAME_CHARACTERS: Final = 100
"""Characters of a family name, and of one given name; the register has at most 80."""

MOST_GIVEN_NAMES_CHARACTERS: Final = 200
"""Characters of the given names after the first together."""

MOST_PHONE_CHARACTERS: Final = 50
"""Characters of a phone number."""

MOST_EMAIL_CHARACTERS: Final = 254
"""Characters of an e-mail address (RFC 5321)."""

MOST_COMMENT_CHARACTERS: Final = 2_000
"""Characters of what a resident writes to the unit; a source may take fewer."""

MOST_REASON_CHARACTERS: Final = 2_000
"""Characters of the text of `cancelationReason`: the unit is told it."""

MOST_REASON_JSON_CHARACTERS: Final = 4_000
"""Characters of JSON of the whole `cancelationReason`: it is kept with the booking."""
