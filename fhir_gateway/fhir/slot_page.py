"""
Slots as entries of a searchset, drawn fast: what `fhir.slot` renders, as text.

A page of fifty costs more to draw than to find. So `fhir.slot` renders one slot of each
source and meaning with gaps in it, and a slot is that text with its own values in the
gaps.
"""

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

import orjson

from fhir_gateway.fhir.slot import slot_from_timeslot
from fhir_gateway.fhir.vocabulary import SLOT_CAPACITY, Vocabulary
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timekeeping import instant_from_epoch, instant_text
from fhir_gateway.model.timeslot import (
    Schedule,
    StandardTimeType,
    Timeslot,
    TimeslotToken,
    TimeType,
)

__all__ = ["SlotDrawer"]

_MOST_KEPT: Final = 65_536

# What stands in the gaps of the slot that is rendered once: values that no real slot
# has, each found again in the text.
_UNIT: Final = HsaId("GAP-UNIT")
_CODE: Final = "GAP-CODE"
_NAME: Final = "GAP-NAME"
_ANSWERED: Final = 0
_START: Final = 86_400
_END: Final = 172_800

_Template = tuple[str, Callable[[tuple[str, ...]], tuple[str, ...]]]


class SlotDrawer:
    """
    Draws slots of one server.

    Args:
        base_url: The server's FHIR base.
        vocabulary: Our canonicals.
    """

    def __init__(self, base_url: str, vocabulary: Vocabulary) -> None:
        self._base_url = base_url
        self._vocabulary = vocabulary
        self._templates: dict[
            tuple[SourceName, tuple[StandardTimeType, ...]], _Template
        ] = {}
        self._times: dict[int, str] = {}
        self._tails: dict[tuple[int, int], str] = {}
        self._escaped: dict[str, str] = {}

    def entry(
        self,
        schedule: Schedule,
        token: str,
        *,
        time_type: TimeType,
        source: SourceName,
        answered_at: int,
        start: int,
        length: int,
        count: int,
    ) -> str:
        """
        Return a free slot as an entry with search mode `match`.

        Args:
            schedule: Whose time it is.
            token: The schedule's token.
            time_type: What it is for.
            source: Where it comes from.
            answered_at: When the source last listed it, in seconds.
            start: In seconds.
            length: In seconds.
            count: How many places it has.
        """
        shape = (source, time_type.standard)
        made = self._templates.get(shape)
        if made is None:
            made = self._templates[shape] = self._template(*shape)
        template, in_order = made
        tail = self._tails.get((start, length))
        if tail is None:
            tail = _keep(self._tails, (start, length), _tail(start, length))
        return template % in_order(
            (
                f"{token}{tail}",
                token,
                self._time(answered_at),
                schedule.unit,
                self._escape(time_type.id),
                self._escape(time_type.name),
                self._time(start),
                self._time(start + length),
                "" if count == 1 else _capacity(count),
            )
        )

    def _time(self, seconds: int) -> str:
        text = self._times.get(seconds)
        if text is None:
            text = instant_text(instant_from_epoch(seconds))
            _keep(self._times, seconds, text)
        return text

    def _escape(self, text: str) -> str:
        """Return a text as it stands within the quotes of JSON."""
        escaped = self._escaped.get(text)
        if escaped is None:
            escaped = orjson.dumps(str(text)).decode()[1:-1]
            _keep(self._escaped, text, escaped)
        return escaped

    def _template(
        self, source: SourceName, standard: tuple[StandardTimeType, ...]
    ) -> _Template:
        time_type = TimeType(id=TimeTypeId(_CODE), name=_NAME, standard=standard)
        schedule = Schedule(
            unit=_UNIT, time_type_id=time_type.id, time_type_name=time_type.name
        )
        timeslot = Timeslot(
            schedule=schedule,
            start=instant_from_epoch(_START),
            end=instant_from_epoch(_END),
            count=2,
        )
        slot = slot_from_timeslot(
            timeslot,
            time_type,
            source=source,
            answered_at=instant_from_epoch(_ANSWERED),
            vocabulary=self._vocabulary,
        )
        text = orjson.dumps(
            {
                "fullUrl": f"{self._base_url}/Slot/{timeslot.token}",
                "resource": slot,
                "search": {"mode": "match"},
            }
        ).decode()
        # In the order of the values in `entry`; a longer text before one it contains.
        gaps = (
            timeslot.token,
            schedule.token,
            instant_text(instant_from_epoch(_ANSWERED)),
            str(_UNIT),
            _CODE,
            _NAME,
            instant_text(timeslot.start),
            instant_text(timeslot.end),
            _capacity(2),
        )
        pieces = re.split("|".join(f"({re.escape(gap)})" for gap in gaps), text)
        order = []
        template = ""
        for piece in pieces:
            if piece in gaps:
                order.append(gaps.index(piece))
                template += "%s"
            elif piece:
                template += piece.replace("%", "%%")
        return template, itemgetter(*order)


def _keep(kept: dict[Any, str], key: object, value: str) -> str:
    if len(kept) >= _MOST_KEPT:
        # Begun anew: cheaper than to keep account of what was used last.
        kept.clear()
    kept[key] = value
    return value


def _tail(start: int, length: int) -> str:
    """Return what a timeslot's token has behind its schedule's."""
    text = TimeslotToken(schedule="-", start=start, length=length).text
    return text.removeprefix("-")


def _capacity(count: int) -> str:
    extension = orjson.dumps([{"url": SLOT_CAPACITY, "valueInteger": count}]).decode()
    return f'"extension":{extension},'
