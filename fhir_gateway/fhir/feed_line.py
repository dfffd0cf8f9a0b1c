"""
Lines of the open feed (SMART Scheduling Links, HL7 uv.ssl 0.1.0).

Slots have the extensions of that guide: a link and a telephone number to book by, and
the capacity. Schedules say whether anything is free.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

import orjson

from fhir_gateway.fhir.resource_template import ResourceTemplate, in_quotes
from fhir_gateway.fhir.slot_page import rendered_instant, slot_template, slot_times
from fhir_gateway.fhir.vocabulary import (
    BOOKING_DEEP_LINK,
    BOOKING_PHONE,
    HAS_AVAILABILITY,
    SLOT_CAPACITY,
    Vocabulary,
)
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timeslot import TimeType

__all__ = ["SLOT_IN_LINK", "HasAvailability", "SlotLines", "line", "with_availability"]

SLOT_IN_LINK: Final = "{slot}"
"""Where the slot's id stands in the operator's link."""

SlotRow = tuple[ResourceTemplate, str, float, int, int, int, bytes]
"""
A slot: its template, its schedule's token, when the source last listed it, start and
length in seconds, how many places it has, and its unit's phone in JSON (empty: none).
"""

_MOST_TEMPLATES: Final = 4096
_BEHIND_UNIT: Final = len(".7rppv31e.aakdr1dm")


class HasAvailability(Enum):
    """What is known of a schedule's free times (has-availability)."""

    SOME = "some"
    NONE = "none"
    UNKNOWN = "unknown"


def line(resource: dict[str, Any]) -> bytes:
    """Return a resource as a line."""
    return orjson.dumps(resource, option=orjson.OPT_APPEND_NEWLINE)


def with_availability(
    schedule: dict[str, Any], availability: HasAvailability
) -> dict[str, Any]:
    """Return a Schedule that says whether anything is free."""
    extension = {"url": HAS_AVAILABILITY, "valueCode": availability.value}
    return {**schedule, "extension": [extension]}


class SlotLines:
    """
    Renders slots as lines.

    Args:
        vocabulary: Our canonicals.
        booking_link: The page where a resident begins to book; `{slot}` in it stands
            for the slot's id. None for none.
    """

    def __init__(self, vocabulary: Vocabulary, booking_link: str | None) -> None:
        self._vocabulary = vocabulary
        self._templates: dict[tuple[SourceName, TimeType], ResourceTemplate] = {}
        self._link: tuple[bytes, bytes] | None = None
        if booking_link is not None:
            before, _, after = booking_link.partition(SLOT_IN_LINK)
            begin = orjson.dumps({"url": BOOKING_DEEP_LINK, "valueUrl": before})
            self._link = begin[:-2], in_quotes(after) + b'"}'

    def template(self, source: SourceName, time_type: TimeType) -> ResourceTemplate:
        """Return the template of the slots of a source's time type."""
        shape = (source, time_type)
        template = self._templates.get(shape)
        if template is None:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.clear()
            template = self._templates[shape] = slot_template(
                source, time_type, self._vocabulary, base_url=None
            )
        return template

    def rendered(self, rows: Iterable[SlotRow]) -> bytes:
        """Return slots as lines."""
        lines = []
        for template, token, answered_at, start, length, count, phone in rows:
            tail, period = slot_times(start, length)
            schedule = token.encode()
            lines.append(
                template.text
                % template.in_order(
                    (
                        schedule + tail,
                        schedule,
                        rendered_instant(answered_at),
                        # A token begins with the unit's HSA-id.
                        schedule[:-_BEHIND_UNIT],
                        period,
                        self._extension(schedule + tail, count, phone),
                    )
                )
            )
        lines.append(b"")
        return b"\n".join(lines)

    def _extension(self, slot: bytes, count: int, phone: bytes) -> bytes:
        extensions = []
        if self._link is not None:
            before, after = self._link
            extensions.append(before + slot + after)
        if phone:
            extensions.append(_PHONE % phone)
        if count > 1:
            extensions.append(_CAPACITY % count)
        return b'"extension":[%s],' % b",".join(extensions) if extensions else b""


_PHONE: Final = b'{"url":"%s","valueString":"%%s"}' % BOOKING_PHONE.encode()
_CAPACITY: Final = b'{"url":"%s","valueInteger":%%d}' % SLOT_CAPACITY.encode()
