"""
Kills and stops processes of a gateway while clients work, and starts them again.
"""

import random
import signal
import threading
import time
from collections import Counter
from typing import Final

from faults.crash_points import GATEWAY_POINTS, RECONCILER_POINTS
from faults.world import Part, World

__all__ = ["Killer"]

_PAUSE_S: Final = 0.02
_LIFE_S: Final = (0.6, 3.0)
# A process that is to die at a point gets the time to come by.
_ARMED_LIFE_S: Final = (6.0, 10.0)
# Longer than a sender's lease of 100 s, by the run's clock.
_STOPPED: Final = (10.0, 130.0)
_SHARE_ARMED: Final = 0.7
_SHARE_STOPPED: Final = 0.15


class Killer:
    """
    Ends processes at named points and at random, until it has done so often enough.

    Args:
        world: The world of the processes.
        kills: How many to end.
        seed: What chance begins from.

    Attributes:
        done: How many have been ended.
        points: How often each named point was reached.
        random_kills: How many were ended wherever they were.
        stops: How many were stopped, and let go on later, and where.
    """

    def __init__(self, world: World, *, kills: int, seed: int) -> None:
        self.done = 0
        self.points: Counter[str] = Counter()
        self.random_kills = 0
        self.stops: Counter[str] = Counter()
        self._world = world
        self._kills = kills
        self._chance = random.Random(f"{seed} killer")  # noqa: S311 - to be repeated
        self._orders: dict[str, list[str]] = {}
        self._until: dict[str, float] = {}
        self._stopping = threading.Event()
        self._may_kill = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """End nobody more, and see that every process lives and runs."""
        self._stopping.set()
        self._thread.join()
        for part in self._world.parts:
            self._world.signal(part, signal.SIGCONT)
            self._world.kill(part)
        self._world.start()

    def let(self, *, kill: bool) -> None:
        """Say whether a process may be ended just now."""
        if kill:
            self._may_kill.set()
        else:
            self._may_kill.clear()

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            for part in self._world.parts:
                self._look_at(part)

    def _look_at(self, part: Part) -> None:
        if not self._world.lives(part):
            self._bury(part)
        elif part.is_stopped or self._world.stands_still(part):
            self._let_go_on(part)
        elif (
            self._world.is_ready(part)
            and time.monotonic() > self._until.get(part.name, 0.0)
            and self._may_kill.is_set()
            and self.done < self._kills
            and self._others_run(part)
        ):
            if self._chance.random() < _SHARE_STOPPED:
                self._world.signal(part, signal.SIGSTOP)
                self.stops["anywhere"] += 1
                self._stopped(part)
            else:
                self.random_kills += 1
                part.crash_at = ""
                self._world.kill(part)

    def _bury(self, part: Part) -> None:
        """Count what has ended, and start another in its place."""
        if part.pid is None:
            raise AssertionError("it was never started")
        self.done += 1
        if part.crash_at:
            self.points[part.crash_at.rpartition(":")[0]] += 1
        part.is_stopped = False
        self._world.launch(part, crash_at=self._next_point(part))
        life = _ARMED_LIFE_S if part.crash_at else _LIFE_S
        self._until[part.name] = time.monotonic() + self._chance.uniform(*life)

    def _let_go_on(self, part: Part) -> None:
        if not part.is_stopped and part.crash_at:
            # It stopped itself, at its point. Without one it was let go on a moment
            # ago, and does not run yet.
            self.stops[part.crash_at.rpartition(":")[0]] += 1
            part.crash_at = ""
            self._stopped(part)
        if time.monotonic() > self._until[part.name]:
            part.is_stopped = False
            self._until[part.name] = time.monotonic() + self._chance.uniform(*_LIFE_S)
            self._world.signal(part, signal.SIGCONT)

    def _stopped(self, part: Part) -> None:
        part.is_stopped = True
        seconds = self._world.clock.real(self._chance.uniform(*_STOPPED))
        self._until[part.name] = time.monotonic() + seconds

    def _next_point(self, part: Part) -> str:
        if self.done >= self._kills or self._chance.random() > _SHARE_ARMED:
            return ""
        order = self._orders.setdefault(part.role, [])
        if not order:
            order.extend(
                GATEWAY_POINTS if part.role == "gateway" else RECONCILER_POINTS
            )
            self._chance.shuffle(order)
        action = "stop" if self._chance.random() < _SHARE_STOPPED else "kill"
        return f"{order.pop()}:{action}"

    def _others_run(self, part: Part) -> bool:
        return any(
            self._world.is_ready(other) and not other.is_stopped
            for other in self._world.parts
            if other is not part and other.role == part.role
        )
