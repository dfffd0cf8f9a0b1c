"""
Slots as entries of a searchset, rendered from templates.

A page of fifty slots costs more to render than to find. So `fhir.slot` renders one slot
of each source's time type, and that slot becomes a template.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Final

import orjson

from fhir_gateway.fhir.resource_template import ResourceTemplate, in_quotes
from fhir_gateway.fhir.slot import slot_from_timeslot
from fhir_gateway.fhir.vocabulary import SLOT_CAPACITY, Vocabulary
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timekeeping import instant_from_epoch, instant_text
from fhir_gateway.model.timeslot import (
    Schedule,
    Timeslot,
    TimeslotToken,
    TimeType,
)

__all__ = ["SlotRenderer", "rendered_instant", "slot_template", "slot_times"]

_MOST_TEMPLATES: Final = 4096
_MOST_TIMES: Final = 16_384
_BEHIND_UNIT: Final = len(".7rppv31e.aakdr1dm")

# The values in the gaps of the slot that is rendered once: no real slot has them, and
# each is found again in the text.
_UNIT: Final = HsaId("GAP-UNIT")
_CODE: Final = "GAP-CODE"
_NAME: Final = "GAP-NAME"
_ANSWERED: Final = 0
_START: Final = 86_400
_LENGTH: Final = 900


class SlotRenderer:
    """
    Renders slots of one server.

    Args:
        base_url: The server's FHIR base.
        vocabulary: Our canonicals.
    """

    def __init__(self, base_url: str, vocabulary: Vocabulary) -> None:
        self._base_url = base_url
        self._vocabulary = vocabulary
        self._templates: dict[tuple[SourceName, TimeType], ResourceTemplate] = {}

    def template(self, source: SourceName, time_type: TimeType) -> ResourceTemplate:
        """Return the template of the slots of a source's time type."""
        shape = (source, time_type)
        template = self._templates.get(shape)
        if template is None:
            if len(self._templates) >= _MOST_TEMPLATES:
                # Emptied whole: that is cheaper than a record of the last uses.
                self._templates.clear()
            template = self._templates[shape] = slot_template(
                *shape, self._vocabulary, base_url=self._base_url
            )
        return template

    def entries(
        self,
        rows: Iterable[tuple[ResourceTemplate, str, float, int, int, int]],
    ) -> list[bytes]:
        """
        Return free slots as entries with search mode `match`.

        Args:
            rows: For each slot its time type's template, its schedule's token, when the
                source last listed it, its start and its length (all in seconds), and
                how many places it has.
        """
        rendered = []
        # The rows are in order of time, and many begin together.
        last_start = last_length = -1
        tail = period = b""
        for template, token, answered_at, start, length, count in rows:
            if start != last_start or length != last_length:
                last_start, last_length = start, length
                tail, period = slot_times(start, length)
            schedule = token.encode()
            rendered.append(
                template.text
                % template.in_order(
                    (
                        schedule + tail,
                        schedule,
                        rendered_instant(answered_at),
                        # A token begins with the unit's HSA-id.
                        schedule[:-_BEHIND_UNIT],
                        period,
                        b"" if count == 1 else _capacity(count).encode(),
                    )
                )
            )
        return rendered


def slot_template(
    source: SourceName,
    time_type: TimeType,
    vocabulary: Vocabulary,
    *,
    base_url: str | None,
) -> ResourceTemplate:
    """
    Return the template of the slots of a source's time type.

    Its values are: the slot's token, its schedule's token, when the source last listed
    it, its unit, start and end as members, and its extensions as a member with a comma.

    Args:
        source: The source.
        time_type: The time type.
        vocabulary: Our canonicals.
        base_url: The server's FHIR base, for entries of a searchset; None for slots
            alone.
    """
    named = replace(time_type, id=TimeTypeId(_CODE), name=_NAME)
    schedule = Schedule(unit=_UNIT, time_type_id=named.id, time_type_name=named.name)
    timeslot = Timeslot(
        schedule=schedule,
        start=instant_from_epoch(_START),
        end=instant_from_epoch(_START + _LENGTH),
        count=2,
    )
    slot = slot_from_timeslot(
        timeslot,
        named,
        source=source,
        answered_at=instant_from_epoch(_ANSWERED),
        vocabulary=vocabulary,
    )
    rendered = slot
    if base_url is not None:
        rendered = {
            "fullUrl": f"{base_url}/Slot/{timeslot.token}",
            "resource": slot,
            "search": {"mode": "match"},
        }
    return ResourceTemplate.of(
        rendered,
        (
            timeslot.token,
            schedule.token,
            rendered_instant(_ANSWERED).decode(),
            str(_UNIT),
            slot_times(_START, _LENGTH)[1].decode(),
            _capacity(2),
        ),
        {_CODE: in_quotes(time_type.id.code), _NAME: in_quotes(time_type.name)},
    )


@lru_cache(maxsize=_MOST_TIMES)
def rendered_instant(seconds: float) -> bytes:
    """Return an instant as JSON writes it, without the quotes."""
    return instant_text(instant_from_epoch(int(seconds))).encode()


@lru_cache(maxsize=_MOST_TIMES)
def slot_times(start: int, length: int) -> tuple[bytes, bytes]:
    """Return the last part of a slot's token, and the slot's start and end."""
    token = TimeslotToken(schedule="-", start=start, length=length)
    begins, ends = rendered_instant(start), rendered_instant(start + length)
    return (
        token.suffix.encode(),
        b'"start":"%s","end":"%s"' % (begins, ends),
    )


def _capacity(count: int) -> str:
    extension = orjson.dumps([{"url": SLOT_CAPACITY, "valueInteger": count}]).decode()
    return f'"extension":{extension},'
