"""
Feed files: each is made in the background, compressed, and kept until it changes.

A nationwide feed has millions of lines. So a process makes one file at a time, in a
thread that pauses after each piece for as long as the piece took: searches meanwhile
wait for at most one piece.
"""

import hashlib
import threading
import zlib
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from fhir_gateway.model.errors import Busy, Unavailable
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.services.feed.spool import Place, Spool

__all__ = ["Contents", "FeedFile", "FeedFiles"]

_log = structlog.get_logger()

# A window of 15 bits, with the header of gzip.
_GZIP: Final = 31
_LEVEL: Final = 3
_LONGEST_PAUSE_S: Final = 0.02
# A file that was made before answers at once, if the new one takes longer than this.
_PATIENCE_WITH_OLD_S: Final = 1.0
_PATIENCE_S: Final = 20.0
# The guide's example of how long a file holds.
_OLD_FOR: Final = timedelta(minutes=5)
_FREE_BYTES: Final = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """
    What a file is to contain.

    Attributes:
        key: Equal keys stand for equal contents.
        pieces: Its text, piece by piece; some milliseconds of work each.
    """

    key: Hashable
    pieces: Iterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFile:
    """
    A file of the feed.

    Attributes:
        body: Its text, compressed with gzip.
        etag: A tag of the text; the same in every process.
        modified_at: When the text last changed, as this process knows it.
    """

    body: bytes
    etag: str
    modified_at: datetime

    @property
    def text(self) -> bytes:
        """Return its text, not compressed."""
        return zlib.decompress(self.body, _GZIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    version: int
    key: Hashable
    place: Place
    etag: str
    modified_at: datetime
    right_at: datetime


class FeedFiles:
    """
    Makes and keeps the files of a process.

    Args:
        folder: Where they take their room.
        most_waiting: How many requests may wait for a file at once.
        pause: Waits for some seconds, or until the process stops.
        clock: Returns the time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        most_waiting: int = 4,
        pause: Callable[[float], object] | None = None,
        clock: Clock = now,
    ) -> None:
        self._folder = folder
        self._permits = threading.BoundedSemaphore(most_waiting)
        self._stopped = threading.Event()
        self._pause = self._stopped.wait if pause is None else pause
        self._clock = clock
        self._lock = threading.Lock()
        self._spool: Spool | None = None
        self._kept: dict[str, _Kept] = {}
        self._being_made: dict[tuple[str, int], Future[None]] = {}
        self._newest = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="feed")

    def get(
        self, name: str, version: int, contents: Callable[[], Contents]
    ) -> FeedFile:
        """
        Return a file; wait for it where this process has not made it yet.

        Where it takes long, an older version is returned, if there is one that was
        right not long ago.

        Args:
            name: Its name.
            version: The publication that it is of.
            contents: Called in the background, when the file is not of that version.

        Raises:
            Busy: It is not ready in time.
            Unavailable: The disk has no room for it.
        """
        with self._lock:
            kept = self._kept.get(name)
            if kept is not None and kept.version == version:
                return self._read(kept)
            self._newest = max(self._newest, version)
            kept = self._not_too_old(name)
            future = self._being_made.get((name, version))
            if future is None:
                future = self._executor.submit(self._make, name, version, contents)
                self._being_made[name, version] = future
        if self._permits.acquire(blocking=False):
            try:
                wait_for(
                    [future],
                    timeout=_PATIENCE_S if kept is None else _PATIENCE_WITH_OLD_S,
                )
            finally:
                self._permits.release()
        if future.done():
            try:
                future.result()
            except OSError as error:
                raise Unavailable(
                    "The server has no room for the file at present; ask again later."
                ) from error
        with self._lock:
            kept = self._not_too_old(name)
            if kept is None:
                raise Busy("The file is being made; ask for it again in a minute.")
            return self._read(kept)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the files that are no longer published."""
        with self._lock:
            for name in self._kept.keys() - set(names):
                del self._kept[name]

    @property
    def spooled_bytes(self) -> int:
        """Return how much room the files take on disk."""
        with self._lock:
            return 0 if self._spool is None else self._spool.size

    def close(self) -> None:
        """Stop the thread, and give the room back."""
        self._stopped.set()
        self._executor.shutdown(wait=True, cancel_futures=True)
        if self._spool is not None:
            self._spool.close()

    def _make(self, name: str, version: int, contents: Callable[[], Contents]) -> None:
        try:
            if version < self._newest:
                # Who asked for it has left, or asks again.
                return
            wanted = contents()
            kept = self._kept.get(name)
            if kept is None or kept.key != wanted.key:
                kept = self._write(wanted, version, kept)
            else:
                kept = replace(kept, version=version, right_at=self._clock())
            with self._lock:
                self._kept[name] = kept
        except OSError as error:
            _log.warning("feed has no room", reason=error.strerror)
            raise
        finally:
            with self._lock:
                self._being_made.pop((name, version), None)

    def _write(self, wanted: Contents, version: int, before: _Kept | None) -> _Kept:
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        digest = hashlib.blake2b(digest_size=12)
        compressed = []
        began = monotonic()
        for piece in wanted.pieces:
            digest.update(piece)
            compressed.append(compressor.compress(piece))
            self._pause(min(monotonic() - began, _LONGEST_PAUSE_S))
            if self._stopped.is_set():
                raise Busy("The server stops.")
            began = monotonic()
        compressed.append(compressor.flush())
        etag, moment = digest.hexdigest(), self._clock()
        is_same = before is not None and before.etag == etag
        return _Kept(
            version=version,
            key=wanted.key,
            place=self._append(b"".join(compressed)),
            etag=etag,
            modified_at=(
                before.modified_at if before is not None and is_same else moment
            ),
            right_at=moment,
        )

    def _append(self, text: bytes) -> Place:
        """Append to the spool; write it anew when most of it is no longer needed."""
        with self._lock:
            spool = self._spool
            if spool is None:
                spool = self._spool = Spool(self._folder)
            needed = sum(each.place.length for each in self._kept.values())
            if spool.size > 2 * needed + _FREE_BYTES:
                fresh = Spool(self._folder)
                for name, kept in self._kept.items():
                    place = fresh.append(spool.read(kept.place))
                    self._kept[name] = replace(kept, place=place)
                spool.close()
                spool = self._spool = fresh
            return spool.append(text)

    def _not_too_old(self, name: str) -> _Kept | None:
        kept = self._kept.get(name)
        if kept is None or self._clock() - kept.right_at > _OLD_FOR:
            return None
        return kept

    def _read(self, kept: _Kept) -> FeedFile:
        if self._spool is None:
            raise LookupError("a file is kept without a spool")
        return FeedFile(
            body=self._spool.read(kept.place),
            etag=kept.etag,
            modified_at=kept.modified_at,
        )
