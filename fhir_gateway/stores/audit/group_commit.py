"""
Group commit: entries that arrive while others are being written share one transaction.

A commit waits for the disk, and the chain allows one writer at a time. So one caller
writes for all that wait, and each caller returns after the commit of its own entry.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["GroupCommit", "NotWritten"]

T = TypeVar("T")


class NotWritten(Exception):
    """The transaction with an entry failed; the cause says why."""


class _Group(Generic[T]):
    def __init__(self) -> None:
        self.items: list[T] = []
        self.is_done = threading.Event()
        self.error: BaseException | None = None


class GroupCommit(Generic[T]):
    """
    Writes entries in groups; safe to share between threads.

    Args:
        write: Writes some entries in one transaction, and commits it.
    """

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._open: _Group[T] | None = None

    def add(self, item: T) -> None:
        """
        Write an entry, with others that wait; return after the commit.

        Raises:
            NotWritten: The transaction failed, for all entries of the group.
        """
        with self._lock:
            group = self._open
            is_first = group is None
            if group is None:
                group = self._open = _Group()
            group.items.append(item)
        if is_first:
            self._lead(group)
        else:
            group.is_done.wait()
        if group.error is not None:
            raise NotWritten from group.error

    def _lead(self, group: _Group[T]) -> None:
        # While this waits for the group before, others join this one.
        with self._writing:
            with self._lock:
                self._open = None
            try:
                self._write(group.items)
            except BaseException as error:
                group.error = error
                if not isinstance(error, Exception):
                    raise
            finally:
                group.is_done.set()
