"""
The timeslots that this server has promised away, which every search leaves out.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.stores.journal import Place, Reading

__all__ = ["HeldTimeslots"]

# Another process's booking is hidden here within this time.
_LASTS: Final = timedelta(milliseconds=250)
# A full read this often finds changes that the reads in between missed, and forgets
# times that have begun.
_READ_WHOLE_EVERY: Final = timedelta(minutes=10)


class _ClaimedPlaces(Protocol):
    def read_live(self, *, starting_after: datetime) -> Reading: ...

    def read_changed(self, since: float) -> Reading: ...

    def list_of_timeslot(self, token: str) -> Sequence[Place]: ...

    def is_known(self, token: str) -> bool: ...


class HeldTimeslots:
    """
    The timeslots with live claims, read from the journal at most four times a second.

    The first read has all of them; the next have the changes.

    Args:
        places: Where claims are.
        clock: Returns the current time.
    """

    def __init__(self, places: _ClaimedPlaces, *, clock: Clock = now) -> None:
        self._places = places
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: set[str] = set()
        self._since = 0.0
        self._read_at: datetime | None = None
        self._whole_at: datetime | None = None

    def changes(self) -> Mapping[str, tuple[float, ...]]:
        """
        Return the timeslots, by token, about which something may have changed.

        Since the last call, or since the start. The value has one item for each place
        that is promised away now: when its promise was settled, in seconds; infinity
        while it is not settled. No item: none of its places is promised away any more.
        """
        with self._lock:
            moment = self._clock()
            if self._read_at is not None and moment - self._read_at < _LASTS:
                return {}
            is_whole = (
                self._whole_at is None or moment - self._whole_at >= _READ_WHOLE_EVERY
            )
            held = self._read_whole(moment) if is_whole else self._read_changed()
            self._read_at = moment
            return held

    def has(self, token: TimeslotToken) -> bool:
        """Return whether a timeslot is still to come and has a place promised away."""
        return token.starts_at > self._clock() and bool(
            self._places.list_of_timeslot(token.text)
        )

    def is_known(self, token: TimeslotToken) -> bool:
        """Return whether a place of a timeslot is, or ever was, promised away here."""
        return self._places.is_known(token.text)

    def forget(self) -> None:
        """Read at the next call: this process has just claimed or released a place."""
        with self._lock:
            self._read_at = None

    def _read_whole(self, moment: datetime) -> Mapping[str, tuple[float, ...]]:
        reading = self._places.read_live(starting_after=moment)
        gone = self._tokens - reading.held.keys()
        self._tokens = set(reading.held)
        self._since, self._whole_at = reading.at, moment
        return {**reading.held, **dict.fromkeys(gone, ())}

    def _read_changed(self) -> Mapping[str, tuple[float, ...]]:
        reading = self._places.read_changed(self._since)
        self._since = reading.at
        for token, settled_at in reading.held.items():
            if settled_at:
                self._tokens.add(token)
            else:
                self._tokens.discard(token)
        return reading.held
