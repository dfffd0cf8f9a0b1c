"""
What this server has promised away, for every search to leave out.
"""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.stores.journal import ClaimedPlace, Reading

__all__ = ["HeldTimeslots"]

# Another process's booking is hidden here within this time.
_LASTS: Final = timedelta(milliseconds=250)
# What reading by change may miss is not missed for longer; and times that have begun
# are forgotten.
_READ_WHOLE_EVERY: Final = timedelta(minutes=10)


class _Places(Protocol):
    def live(self, *, starting_after: datetime) -> Reading: ...

    def changed(self, since: Reading) -> Reading: ...


class HeldTimeslots:
    """
    The timeslots with live claims, read from the journal at most four times a second.

    All are read once, then what has changed.

    Args:
        places: Where claims are.
        clock: Tells the time.
    """

    def __init__(self, places: _Places, *, clock: Clock = now) -> None:
        self._places = places
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: dict[str, ClaimedPlace] = {}
        self._of_token: dict[str, dict[str, float]] = {}
        self._untold: set[str] = set()
        self._reading: Reading | None = None
        self._read_at: datetime | None = None
        self._whole_at: datetime | None = None

    def changes(self) -> Mapping[str, tuple[float, ...]]:
        """
        Return the timeslots, by token, about which something has changed.

        That is since the last call, or the beginning. Each has the places that are
        promised away now: when each promise was settled, in seconds; infinity when it
        is not. None at all: nothing of it is promised away any more.
        """
        with self._lock:
            self._read()
            told = {
                token: tuple(sorted(self._of_token.get(token, {}).values()))
                for token in self._untold
            }
            self._untold.clear()
            return told

    def forget(self) -> None:
        """Read anew next time: this process has just claimed or released something."""
        with self._lock:
            self._read_at = None

    def _read(self) -> None:
        moment = self._clock()
        if self._read_at is not None and moment - self._read_at < _LASTS:
            return
        if (
            self._reading is None
            or self._whole_at is None
            or moment - self._whole_at >= _READ_WHOLE_EVERY
        ):
            reading = self._places.live(starting_after=moment)
            for gone in self._claims.keys() - {each.claim for each in reading.places}:
                self._take_out(gone)
            self._whole_at = moment
        else:
            reading = self._places.changed(self._reading)
        for place in reading.places:
            self._take_in(place)
        self._reading = reading
        self._read_at = moment

    def _take_in(self, place: ClaimedPlace) -> None:
        if self._claims.get(place.claim) == place:
            return
        if not place.is_live:
            self._take_out(place.claim)
            return
        self._claims[place.claim] = place
        self._of_token.setdefault(place.token, {})[place.claim] = place.settled_at
        self._untold.add(place.token)

    def _take_out(self, claim: str) -> None:
        place = self._claims.pop(claim, None)
        if place is None:
            return
        claims = self._of_token[place.token]
        del claims[claim]
        if not claims:
            del self._of_token[place.token]
        self._untold.add(place.token)
