"""
Deadlines of connections: a connection without an answer is cut off in time.

A server's own timeouts help while the server works. TCP's timeouts help when its
machine is down. A server that hangs on a working machine, or behind a working pooler,
never answers: only its client can end the wait.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

__all__ = ["Deadlines"]

_LOOKS_EVERY_S: Final = 0.25


class Deadlines:
    """
    Cuts off connections after their deadline: the thread that waits gets an error.

    Args:
        clock: Returns seconds that never go back, as `time.monotonic` does.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._watched: dict[socket.socket, float] = {}
        self._thread: threading.Thread | None = None

    def watch(self, connection: socket.socket, within_s: float) -> None:
        """Cut off the connection after that time, unless released or watched anew."""
        with self._lock:
            self._watched[connection] = self._clock() + within_s
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="deadlines", daemon=True
                )
                self._thread.start()

    def release(self, connection: socket.socket) -> None:
        """Remove the deadline of the connection."""
        with self._lock:
            self._watched.pop(connection, None)

    def _run(self) -> None:
        while True:
            time.sleep(_LOOKS_EVERY_S)
            with self._lock:
                if not self._watched:
                    # The next call of `watch` starts another thread.
                    self._thread = None
                    return
                self._cut_off()

    def _cut_off(self) -> None:
        moment = self._clock()
        for connection in [
            each for each, deadline in self._watched.items() if deadline <= moment
        ]:
            del self._watched[connection]
            # The other side may have closed it just now.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
