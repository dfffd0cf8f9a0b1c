"""
Slots as entries of a searchset, drawn fast: what `fhir.slot` renders, as text.

A page of fifty costs more to draw than to find. So `fhir.slot` renders one slot of each
source and meaning with gaps in it, and a slot is that text with its own values in the
gaps.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, TypeVar

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

__all__ = ["SlotDrawer", "Stencil"]

K = TypeVar("K")
V = TypeVar("V")

_MOST_KEPT: Final = 65_536

# What stands in the gaps of the slot that is rendered once: values that no real slot
# has, each found again in the text.
_UNIT: Final = HsaId("GAP-UNIT")
_CODE: Final = "GAP-CODE"
_NAME: Final = "GAP-NAME"
_ANSWERED: Final = 0
_START: Final = 86_400
_END: Final = 172_800


_Order = Callable[[tuple[bytes, ...]], tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Stencil:
    """
    What all slots of a unit's time type have in common, ready to be drawn.

    Attributes:
        text: The slot, with `%s` in its gaps.
        in_order: Puts the values of the gaps in the order of the text.
        unit: The unit's HSA-id, as it stands in JSON.
        code: The unit's own code, likewise.
        name: The unit's own name, likewise.
    """

    text: bytes
    in_order: _Order
    unit: bytes
    code: bytes
    name: bytes


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
            tuple[SourceName, tuple[StandardTimeType, ...]],
            tuple[bytes, _Order],
        ] = {}
        self._answered: dict[int, bytes] = {}
        self._times: dict[tuple[int, int], tuple[bytes, bytes, bytes]] = {}

    def stencil(self, time_type: TimeType, unit: HsaId, source: SourceName) -> Stencil:
        """Return what all slots of a unit's time type have in common."""
        shape = (source, time_type.standard)
        template = self._templates.get(shape)
        if template is None:
            template = self._templates[shape] = self._template(*shape)
        return Stencil(
            *template,
            unit.encode(),
            _in_quotes(time_type.id),
            _in_quotes(time_type.name),
        )

    def entry(
        self,
        stencil: Stencil,
        schedule: str,
        *,
        answered_at: int,
        start: int,
        length: int,
        count: int,
    ) -> bytes:
        """
        Return a free slot as an entry with search mode `match`.

        Args:
            stencil: What it has in common with others.
            schedule: Its schedule's token.
            answered_at: When the source last listed it, in seconds.
            start: In seconds.
            length: In seconds.
            count: How many places it has.
        """
        times = self._times.get((start, length))
        if times is None:
            times = _keep(self._times, (start, length), _times(start, length))
        answered = self._answered.get(answered_at)
        if answered is None:
            answered = _keep(
                self._answered,
                answered_at,
                instant_text(instant_from_epoch(answered_at)).encode(),
            )
        tail, begins, ends = times
        token = schedule.encode()
        return stencil.text % stencil.in_order(
            (
                token + tail,
                token,
                answered,
                stencil.unit,
                stencil.code,
                stencil.name,
                begins,
                ends,
                b"" if count == 1 else _capacity(count).encode(),
            )
        )

    def _template(
        self, source: SourceName, standard: tuple[StandardTimeType, ...]
    ) -> tuple[bytes, _Order]:
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
        # In the order of the values in `entry`; a text before those that it contains.
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
        return template.encode(), itemgetter(*order)


def _keep(kept: dict[K, V], key: K, value: V) -> V:
    if len(kept) >= _MOST_KEPT:
        # Begun anew: cheaper than to keep account of what was used last.
        kept.clear()
    kept[key] = value
    return value


def _in_quotes(text: str) -> bytes:
    """Return a text as it stands within the quotes of JSON."""
    return orjson.dumps(str(text))[1:-1]


def _times(start: int, length: int) -> tuple[bytes, bytes, bytes]:
    """Return what a token has behind its schedule's, the start, and the end."""
    token = TimeslotToken(schedule="-", start=start, length=length)
    return (
        token.text.removeprefix("-").encode(),
        instant_text(instant_from_epoch(start)).encode(),
        instant_text(instant_from_epoch(start + length)).encode(),
    )


def _capacity(count: int) -> str:
    extension = orjson.dumps([{"url": SLOT_CAPACITY, "valueInteger": count}]).decode()
    return f'"extension":{extension},'
