"""
The cache of selections: many searches have the same selectors.
"""

import threading
from collections import OrderedDict
from typing import Final

from fhir_gateway.services.search.slot_selection import Selection, Selector, select
from fhir_gateway.services.search.snapshot import Snapshot

__all__ = ["SelectionCache"]

_MOST: Final = 512
# A client can name fewer; the chains of a search can mean tens of thousands.
_MOST_ACTORS: Final = 200


class SelectionCache:
    """Caches what selectors choose, while the layout of snapshots stays the same."""

    def __init__(self) -> None:
        self._selections: OrderedDict[tuple[int, Selector], Selection] = OrderedDict()
        self._lock = threading.Lock()

    def select(self, snapshot: Snapshot, selector: Selector) -> Selection:
        """Return what a selector chooses in a snapshot; a large one is not cached."""
        if any(actors.number > _MOST_ACTORS for actors in selector.actors):
            return select(snapshot, selector)
        key = (snapshot.layout, selector)
        with self._lock:
            cached = self._selections.get(key)
            if cached is not None:
                self._selections.move_to_end(key)
                return cached
        selection = select(snapshot, selector)
        with self._lock:
            self._selections[key] = selection
            while len(self._selections) > _MOST:
                self._selections.popitem(last=False)
        return selection
