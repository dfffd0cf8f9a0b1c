"""
Deadlines of connections: one that says nothing for too long is cut off.

A server's own time-outs help while the server works, and TCP's while its machine does
not. A server that stands still on a machine that works, or stands behind a pooler that
does, answers nothing for ever; only who waits for it can put an end to that.
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
    Cuts off connections whose deadline has passed: who waits for them gets an error.

    Args:
        clock: Tells the time in seconds, as `time.monotonic` does.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._watched: dict[socket.socket, float] = {}
        self._thread: threading.Thread | None = None

    def watch(self, connection: socket.socket, within_s: float) -> None:
        """Cut a connection off unless it is released, or watched anew, in time."""
        with self._lock:
            self._watched[connection] = self._clock() + within_s
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="deadlines", daemon=True
                )
                self._thread.start()

    def release(self, connection: socket.socket) -> None:
        """Let a connection be, whatever it was watched for."""
        with self._lock:
            self._watched.pop(connection, None)

    def _run(self) -> None:
        while True:
            time.sleep(_LOOKS_EVERY_S)
            with self._lock:
                if not self._watched:
                    # Whatever is watched next starts another thread.
                    self._thread = None
                    return
                self._cut_off()

    def _cut_off(self) -> None:
        moment = self._clock()
        for connection in [
            each for each, deadline in self._watched.items() if deadline <= moment
        ]:
            del self._watched[connection]
            # It may have been closed by the other side just now.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
