"""
Time that runs faster than the wall's, for every process of a run and its database.

The program waits 90 s before it believes that a write never arrived, and gives a sender
a lease of 100 s. A run would take days. Here these constants stay as they are in
production, and the clock that they are compared with runs faster: the one handed to
the program and the regions, and the one in the SQL that SQLAlchemy sends.
"""

import mmap
import struct
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, event

__all__ = ["ScaledTime"]

_STATE: Final = struct.Struct("ddd")

# As the two dialects compile `database_clock`.
_CLOCKS: Final = (
    "((julianday('now') - 2440587.5) * 86400.0)",
    "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
)


class ScaledTime:
    """
    A clock in a file that processes share.

    Args:
        path: The file; `create` makes it.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _STATE.size)
        self.path = path

    @classmethod
    def create(cls, path: Path, *, rate: float) -> "ScaledTime":
        """Make a clock that shows the true time now, and runs `rate` times as fast."""
        path.write_bytes(_STATE.pack(time.time(), rate, 0.0))
        return cls(path)

    def __call__(self) -> datetime:
        """Return the time that it shows."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    @property
    def rate(self) -> float:
        """Return how many of its seconds pass in one of the wall's."""
        return self._state()[1]

    def seconds(self) -> float:
        """Return the time that it shows, in seconds since 1970."""
        base, rate, ahead = self._state()
        return base + (time.time() - base) * rate + ahead

    def real(self, seconds: float) -> float:
        """Return how long so many of its seconds last on the wall."""
        return seconds / self.rate

    def forward(self, seconds: float) -> None:
        """Let so much time pass at once."""
        base, rate, ahead = self._state()
        _STATE.pack_into(self._memory, 0, base, rate, ahead + seconds)

    def govern(self, engine: type[Engine] | Engine) -> None:
        """Let the database's clock, where the journal asks it, show this time."""
        event.listen(engine, "before_cursor_execute", self._scaled, retval=True)

    def _state(self) -> tuple[float, float, float]:
        base, rate, ahead = _STATE.unpack_from(self._memory)
        return base, rate, ahead

    def _scaled(
        self,
        _connection: Any,
        _cursor: Any,
        statement: str,
        parameters: Any,
        _context: Any,
        _executemany: bool,  # noqa: FBT001 - same
    ) -> tuple[str, Any]:
        base, rate, ahead = self._state()
        for clock in _CLOCKS:
            if clock in statement:
                scaled = f"({base!r} + ({clock} - {base!r}) * {rate!r} + {ahead!r})"
                statement = statement.replace(clock, scaled)
        return statement, parameters
