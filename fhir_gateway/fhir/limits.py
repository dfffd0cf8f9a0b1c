"""
The limits of one request: the only place of these numbers.

This server checks each limit before it parses the limited part, and names the limit
when it refuses a request. docs/configuration.md lists the limits, docs/performance.md
says what a request at the limits costs.
"""

from typing import Final

from fhir_gateway.model.json_reading import (
    MOST_JSON_DEPTH,
    MOST_JSON_ITEMS,
    MOST_JSON_KEYS,
)

__all__ = [
    "MOST_BATCH_ENTRIES",
    "MOST_BODY_PIECES",
    "MOST_COMMENT_CHARACTERS",
    "MOST_CURSOR_CHARACTERS",
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

The regions' texts are its larger part; an Appointment from this server is never larger.
"""

MOST_BODY_PIECES: Final = 1_000
"""
Pieces in which a body arrives: its chunks, or what the network delivers at once.

Each piece costs the same however short it is, and the largest body has 400 bytes in
each of this many.
"""

MOST_BATCH_ENTRIES: Final = 20
"""Entries of a batch; a region may need some seconds for each that books."""

MOST_PATCH_OPERATIONS: Final = 20
"""Operations of a JSON Patch."""

MOST_PARAMETERS: Final = 100
"""Parameters of a search, or of an operation."""

MOST_SEARCH_VALUES: Final = 200
"""Values of all parameters of a search together; commas separate them."""

MOST_VALUE_CHARACTERS: Final = 512
"""Characters of one of those values, and of a parameter's name."""

MOST_CURSOR_CHARACTERS: Final = 4_096
"""Characters of `_cursor`: it may name each unit of the country."""

MOST_NAME_CHARACTERS: Final = 100
"""Characters of a family name, and of one given name; the register has at most 80."""

MOST_GIVEN_NAMES_CHARACTERS: Final = 200
"""Characters of the given names after the first together."""

MOST_PHONE_CHARACTERS: Final = 50
"""Characters of a phone number."""

MOST_EMAIL_CHARACTERS: Final = 254
"""Characters of an e-mail address (RFC 5321)."""

MOST_COMMENT_CHARACTERS: Final = 2_000
"""Characters of a resident's text to the unit; a source may accept fewer."""

MOST_REASON_CHARACTERS: Final = 2_000
"""Characters of the text of `cancelationReason`, which the unit receives."""

MOST_REASON_JSON_CHARACTERS: Final = 4_000
"""Characters of JSON of the whole `cancelationReason`, which the journal stores."""
