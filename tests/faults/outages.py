"""
Regions with a port that goes away and comes back, as a mix of faults says.
"""

import random
import threading
from collections import Counter
from typing import Final

from faults.fault import Fault
from faults.world import World

__all__ = ["Outages"]

_UP: Final = (5.0, 30.0)  # in the run's seconds
_DOWN: Final = (3.0, 40.0)


class Outages:
    """
    One region at a time is out of reach.

    Attributes:
        faults: How often it was in which way.
    """

    def __init__(self, world: World, *, seed: int) -> None:
        self.faults: Counter[Fault] = Counter()
        self._world = world
        self._chance = random.Random(f"{seed} outages")  # noqa: S311 - to be repeated
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outages")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Leave every region within reach."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._wait(_UP):
            possible = self._world.mix.outages
            if not possible:
                continue
            fault = self._chance.choice(possible)
            proxy = self._world.proxies[self._chance.choice(list(self._world.proxies))]
            self.faults[fault] += 1
            if fault is Fault.CONNECTION_REFUSED:
                proxy.refuse_connections()
            else:
                proxy.ignore_connections()
            self._wait(_DOWN)
            proxy.accept_connections()

    def _wait(self, bounds: tuple[float, float]) -> bool:
        seconds = self._chance.uniform(*bounds)
        return self._stopping.wait(self._world.clock.real(seconds))
