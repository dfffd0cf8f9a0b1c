"""
The response cache of slot searches.

It holds the bytes of searchsets that clients asked for at least twice, for as long as a
search would give the same bytes.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fhir_gateway.model.source import SourceOutcome

__all__ = ["CachedResponse", "ResponseCache"]

_MOST_BYTES: Final = 8 * 2**20
# The bytes of an entry in tables, besides its texts.
_BYTES_OF_AN_ENTRY: Final = 500
_MOST_SEEN: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedResponse:
    """
    A rendered searchset.

    Attributes:
        version: The snapshot that it was rendered from.
        until: It holds in that snapshot before this instant, in seconds.
        outcomes: What is missing from it.
    """

    body: bytes
    etag: str
    version: int
    until: float
    outcomes: tuple[SourceOutcome, ...] = ()


class ResponseCache:
    """
    Caches responses by the search, in the form in which the server understood it.

    A response enters the cache when the same search comes a second time, so that a
    search that comes once costs no memory. The least recently used response leaves
    first. Any thread may call.

    Args:
        holds: Whether a response is still what a search would find: given the version
            of its snapshot, and until when it holds in that snapshot.
        most_bytes: How many bytes all entries may take together, searches included.
    """

    def __init__(
        self,
        holds: Callable[[int, float], bool],
        *,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._holds = holds
        self._most_bytes = most_bytes
        self._responses: OrderedDict[str, CachedResponse] = OrderedDict()
        self._bytes = 0
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._responses)

    def get(self, search: str) -> CachedResponse | None:
        """Return the cached response to a search, while it still holds."""
        with self._lock:
            response = self._responses.get(search)
            if response is None:
                return None
            if self._holds(response.version, response.until):
                self._responses.move_to_end(search)
                return response
            self._drop(search)
            return None

    def put(self, search: str, response: CachedResponse) -> None:
        """Cache a response, if the same search came not long ago."""
        key = hash(search)
        with self._lock:
            if key not in self._seen:
                self._seen[key] = None
                if len(self._seen) > _MOST_SEEN:
                    self._seen.popitem(last=False)
                return
            self._seen.move_to_end(key)
            if search in self._responses:
                self._drop(search)
            self._responses[search] = response
            self._bytes += _size(search, response)
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._responses)))

    def _drop(self, search: str) -> None:
        self._bytes -= _size(search, self._responses.pop(search))


def _size(search: str, response: CachedResponse) -> int:
    return len(search) + len(response.body) + _BYTES_OF_AN_ENTRY
