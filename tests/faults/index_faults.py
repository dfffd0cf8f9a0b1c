"""
The engagement index goes wrong in every way that it can, while bookings change.
"""

import json
import random
import threading
import urllib.request
from collections import Counter
from typing import Any, Final

from sqlalchemy import update

from faults.world import REGIONS, World
from fhir_gateway.model.engagement import IndexedSource
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.journal.tables import bookings

__all__ = ["IndexFaults", "index_posts"]

_KINDS: Final = (
    *("refuse", "hang", "drop-after-processing", "drop-before-processing"),
    *("deliver-nothing", "vp-fault", "error", "info", "answer-twice", "wrong-status"),
    "answer-late",
)
_BETWEEN: Final = (0.5, 12.0)  # in the run's seconds
_LASTS: Final = (1, 3)
_HANGS_S: Final = 0.5


class IndexFaults:
    """
    The next few calls fail, again and again.

    Attributes:
        faults: How often a rule of each kind was made.
    """

    def __init__(self, world: World, *, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self._world = world
        self._chance = random.Random(f"{seed} index")  # noqa: S311 - to be repeated
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index faults")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Let the index answer as it should."""
        self._stopping.set()
        self._thread.join()
        _call(self._world, "/faults/index", method="DELETE")

    def _run(self) -> None:
        while not self._stopping.wait(
            self._world.clock.real(self._chance.uniform(*_BETWEEN))
        ):
            kind = self._chance.choice(_KINDS)
            self.faults[kind] += 1
            rule: dict[str, Any] = {
                "fault": kind,
                "count": self._chance.randint(*_LASTS),
                "interactions": ["Update"],
                "seconds": _HANGS_S,
            }
            if kind in ("vp-fault", "deliver-nothing", "wrong-status"):
                rule["after"] = self._chance.random() < 0.5
            _call(self._world, "/faults/index", rule)


def index_posts(world: World, seconds: float) -> list[dict[str, Any]]:
    """Return the index's posts once it has learnt all, or the time is over."""
    indexed = {
        SourceName(each): IndexedSource(
            source_system=HsaId("SE2321009900-SYSTEM"), data_controller="any"
        )
        for each in REGIONS
    }
    outbox = IndexOutbox(world.database, world.seal, indexed)
    outbox.retry_refused()
    # What failed waits for up to some hours.
    with world.database.writing() as connection:
        connection.execute(
            update(bookings)
            .where(bookings.c.index_due_at.is_not(None))
            .values(index_due_at=0)
        )
    world.await_none(lambda: outbox.state().waiting, seconds)
    posts: list[dict[str, Any]] = _call(world, "/ledger/index")["posts"]
    return posts


def _call(
    world: World, path: str, body: object = None, *, method: str | None = None
) -> Any:
    request = urllib.request.Request(
        world.sandbox.url + path,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
