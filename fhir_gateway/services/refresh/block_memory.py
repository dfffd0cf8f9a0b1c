"""
What the refresh remembers of the blocks that it has stored.

The refresh compares answers with it; the status has its counts.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from fhir_gateway.model.loss import Loss
from fhir_gateway.model.timekeeping import civil_date, epoch_seconds, instant_from_epoch
from fhir_gateway.model.timeslot import Schedule
from fhir_gateway.services.refresh.suspicion import Verdict, verdict
from fhir_gateway.services.source.directory import TimeTypeMap
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock

__all__ = ["BlockMemory"]

_SOON: Final = timedelta(days=3)
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kept:
    """
    The parts of a block that the refresh remembers.

    Attributes:
        starts: When its free times begin, in seconds, sorted.
    """

    starts: npt.NDArray[np.uint32]
    schedules: tuple[Schedule, ...]
    rejected: dict[str, int]
    losses: tuple[Loss, ...]

    def coming(self, moment: datetime) -> npt.NDArray[np.uint32]:
        """Return the starts of the times that have not begun."""
        first = np.searchsorted(self.starts, epoch_seconds(moment), side="right")
        return self.starts[first:]


class BlockMemory:
    """
    The blocks of one source, as far as the refresh remembers them.

    Args:
        most_slots: How many free times one block can have.
    """

    def __init__(self, most_slots: int) -> None:
        self._most = most_slots
        self._lock = threading.Lock()
        self._kept: dict[BlockKey, _Kept] = {}
        self._doubted: set[BlockKey] = set()

    def keep(self, block: SlotBlock) -> None:
        """Remember a block that was stored."""
        kept = _Kept(
            starts=block.rows["start"].copy(),
            schedules=block.schedules,
            rejected=block.rejected,
            losses=block.losses,
        )
        with self._lock:
            self._kept[block.key] = kept

    def judge(
        self, key: BlockKey, *, listed: int, free: int, moment: datetime
    ) -> Verdict:
        """
        Return what to do with an answer; one that comes twice is accepted.

        Args:
            key: Its unit and time type.
            listed: How many times it lists, including those that are left out.
            free: How many of them would be stored.
            moment: When the source was asked.
        """
        with self._lock:
            kept = self._kept.get(key)
            judged = verdict(
                listed=listed if listed > self._most else free,
                before=None if kept is None else len(kept.coming(moment)),
                most=self._most,
            )
            if judged is Verdict.DOUBTED and key not in self._doubted:
                self._doubted.add(key)
                return judged
            self._doubted.discard(key)
            return Verdict.BELIEVED if judged is Verdict.DOUBTED else judged

    def schedules(self, key: BlockKey) -> tuple[Schedule, ...]:
        """Return the schedules that the source ever listed."""
        with self._lock:
            kept = self._kept.get(key)
        return kept.schedules if kept else ()

    def is_near(self, key: BlockKey, moment: datetime) -> bool:
        """Return whether there is a free time within days."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            return False
        coming = kept.coming(moment)
        return len(coming) > 0 and int(coming[0]) < (moment + _SOON).timestamp()

    def days(self, key: BlockKey, moment: datetime) -> frozenset[date] | None:
        """Return the days with free times; None when none was ever listed."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            return None
        hours = np.unique(kept.coming(moment) // _HOUR_S * _HOUR_S)
        return frozenset(
            civil_date(instant_from_epoch(each)) for each in hours.tolist()
        )

    def count(
        self, keys: Iterable[BlockKey], meanings: TimeTypeMap, moment: datetime
    ) -> tuple[int, dict[str, int]]:
        """
        Return the number of free times, and why searches do not find others.

        Args:
            keys: Which blocks count.
            meanings: The shared meaning of time types; times of one that has none are
                counted as `unmapped`.
            moment: Now.
        """
        rejected: Counter[str] = Counter()
        slots = 0
        with self._lock:
            for key in keys:
                kept = self._kept.get(key)
                if kept is None:
                    continue
                coming = len(kept.coming(moment))
                slots += coming
                rejected.update(kept.rejected)
                if coming and (key.unit, key.time_type_id) not in meanings:
                    rejected["unmapped"] += coming
        return slots, dict(rejected)

    def losses(self, keys: Iterable[BlockKey]) -> list[Loss]:
        """Return what was left out of the answers behind the blocks."""
        with self._lock:
            return [
                loss
                for key in keys
                if key in self._kept
                for loss in self._kept[key].losses
            ]
