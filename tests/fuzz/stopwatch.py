"""
How long something took, without the time in which the machine let nothing run.
"""

import threading
import time
from typing import Final

__all__ = ["Stopwatch"]

_BEAT_S: Final = 0.05


class _Heart:
    """
    A thread that sleeps a moment at a time; it is late when it cannot run.

    Attributes:
        late_s: By how much it was late, in all.
    """

    def __init__(self) -> None:
        self.late_s = 0.0
        threading.Thread(target=self._beat, name="heart", daemon=True).start()

    def _beat(self) -> None:
        while True:
            due_s = time.monotonic() + _BEAT_S
            time.sleep(_BEAT_S)
            self.late_s += time.monotonic() - due_s


_HEART: Final = _Heart()


class Stopwatch:
    """
    Measures from now on.

    A wait shows in the time of the clock, and a computation, also one that lets no
    other thread run, in the time of the processor. A machine that is busy with other
    programs shows in neither.
    """

    def __init__(self) -> None:
        self._clock_s = time.monotonic()
        self._processor_s = time.process_time()
        self._late_s = _HEART.late_s

    @property
    def seconds(self) -> float:
        """Return how long it has taken so far."""
        waited_s = time.monotonic() - self._clock_s - (_HEART.late_s - self._late_s)
        return max(waited_s, time.process_time() - self._processor_s)
