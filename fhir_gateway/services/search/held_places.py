"""
Held places: how many places of each time this server has promised away.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.timeslot import Schedule, TimeslotToken, time_type_token
from fhir_gateway.stores.slot_block import SlotBlock

__all__ = ["HeldPlaces"]

_log = structlog.get_logger()


class HeldPlaces:
    """
    The places that this server has promised away, by the token of their timeslot.

    A timeslot is pending from when its places changed until the view has applied that:
    until `clear_pending`.

    Args:
        read_changes: Returns the timeslots about which something may have changed since
            its last call: for each, when its promises were settled, in seconds;
            infinity for a promise that is not settled.
    """

    def __init__(
        self, read_changes: Callable[[], Mapping[str, Sequence[float]]]
    ) -> None:
        self._read_changes = read_changes
        self._settled_at: dict[str, Sequence[float]] = {}
        self._by_offering: dict[str, set[str]] = {}
        self._pending: set[str] = set()
        self._is_journal_away = False

    def __contains__(self, token: str) -> bool:
        return token in self._settled_at

    def read(self) -> Collection[str] | None:
        """
        Read what has changed; return the tokens of the timeslots that changed.

        None means that the journal does not answer. Then the places held last stay
        held, and nothing can be booked.
        """
        try:
            read = self._read_changes()
        except GatewayError as error:
            if not self._is_journal_away:
                _log.error("slot view lost the journal", reason=error.log_text)
            self._is_journal_away = True
            return None
        if self._is_journal_away:
            _log.info("slot view found the journal again")
        self._is_journal_away = False
        changed = {
            token: settled_at
            for token, settled_at in read.items()
            if self._settled_at.get(token, ()) != settled_at
        }
        for token, settled_at in changed.items():
            self._put(token, settled_at)
        self._pending |= changed.keys()
        return changed.keys()

    def pending_offerings(self, moment: datetime) -> set[str]:
        """Return the tokens of the time types that have pending times still to come."""
        return {
            token.time_type
            for token in map(TimeslotToken.parse, self._pending)
            if token.starts_at > moment
        }

    def clear_pending(self) -> None:
        """Mark all timeslots as applied by the view."""
        self._pending.clear()

    def places_left(
        self, rows: npt.NDArray[np.void], block: SlotBlock
    ) -> npt.NDArray[np.uint16]:
        """
        Return how many places of each row of a block are left.

        A source lists the places that are left: its count already includes a claim that
        was settled before the worker asked. A time with one place has one for ever, so
        that any promise takes it.
        """
        count: npt.NDArray[np.uint16] = rows["count"].copy()
        asked_at = block.asked_at.timestamp()
        key = time_type_token(block.key.unit, block.key.time_type_id)
        for text in self._by_offering.get(key, ()):
            token = TimeslotToken.parse(text)
            settled_at = self._settled_at[text]
            for row in _rows_of(rows, block.schedules, token):
                promised = sum(each > asked_at for each in settled_at)
                if count[row] == 1:
                    promised = 1
                count[row] -= min(promised, int(count[row]))
        return count

    def _put(self, text: str, settled_at: Sequence[float]) -> None:
        offering = TimeslotToken.parse(text).time_type
        if settled_at:
            self._settled_at[text] = settled_at
            self._by_offering.setdefault(offering, set()).add(text)
        elif self._settled_at.pop(text, None) is not None:
            tokens = self._by_offering[offering]
            tokens.discard(text)
            if not tokens:
                del self._by_offering[offering]


def _rows_of(
    rows: npt.NDArray[np.void], schedules: Sequence[Schedule], token: TimeslotToken
) -> Iterable[int]:
    """Return the rows of a block that are of a timeslot: one, or none."""
    first = int(np.searchsorted(rows["start"], token.start, side="left"))
    last = int(np.searchsorted(rows["start"], token.start, side="right"))
    for row in range(first, last):
        if (
            rows["length"][row] == token.length
            and schedules[rows["schedule"][row]].token == token.schedule
        ):
            yield row
