"""
Places: which places of timeslots are claimed here, and which claims have changed.

A web process leaves claimed places out of its searches. It reads all claims once, and
then only the changes: there may be a hundred thousand claims.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final

from sqlalchemy import Row, select

from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.queries import (
    ANY_CLAIM,
    CHANGED_TOKENS,
    LIVE_AFTER,
    LIVE_OF,
    PLACES_OF_TIMESLOT,
)

__all__ = ["Place", "Places", "Reading"]

# A change bears the time of its statement, and is visible from its commit on. That may
# be this much later, because a writer may wait for a lock.
_COMMITS_WITHIN: Final = timedelta(seconds=30)
# Every database takes at least this many values in one statement.
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    A place of a timeslot that is claimed here.

    Attributes:
        booking: Our id of the booking that has the place.
        is_settled: Its source knows of it, and no longer lists the place.
    """

    booking: str
    is_settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    The live claims of timeslots, as of one reading.

    Attributes:
        at: When, by the database's clock; `Places.read_changed` continues from there.
        held: For each timeslot, by its token, when the write of each live claim was
            settled, in seconds since 1970, ascending; infinity while the write is under
            way, its outcome is unknown, or the time is only held.
    """

    at: float
    held: Mapping[str, tuple[float, ...]]


class Places:
    """
    Reads which places are claimed.

    Args:
        database: Where the journal is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_of_timeslot(self, token: str) -> tuple[Place, ...]:
        """Return the places of a timeslot that are claimed here."""
        with self._database.reading() as connection:
            rows = connection.execute(PLACES_OF_TIMESLOT, {"timeslot": token}).all()
        return tuple(
            Place(booking=row.booking, is_settled=row.settled_at is not None)
            for row in rows
        )

    def is_known(self, token: str) -> bool:
        """Return whether a place of a timeslot is, or ever was, claimed here."""
        with self._database.reading() as connection:
            return (
                connection.execute(ANY_CLAIM, {"timeslot": token}).first() is not None
            )

    def read_live(self, *, starting_after: datetime) -> Reading:
        """Return every timeslot with a live claim that starts after that instant."""
        with self._database.reading() as connection:
            at = connection.execute(select(database_clock())).scalar_one()
            return Reading(
                at=at,
                held=_settled_at_by_token(
                    connection.execute(
                        LIVE_AFTER, {"after": epoch_seconds(starting_after)}
                    )
                ),
            )

    def read_changed(self, since: float) -> Reading:
        """
        Return the timeslots of which claims have changed since then, and some others.

        A timeslot without a live claim has an empty entry in `held`. This misses a
        change that was committed more than half a minute after its statement, and a
        change made while the database's clock was set back: `read_live` has both.
        """
        with self._database.reading() as connection:
            at = connection.execute(select(database_clock())).scalar_one()
            tokens = (
                connection.execute(
                    CHANGED_TOKENS, {"since": since - _COMMITS_WITHIN.total_seconds()}
                )
                .scalars()
                .all()
            )
            held: dict[str, tuple[float, ...]] = dict.fromkeys(tokens, ())
            for first in range(0, len(tokens), _AT_ONCE):
                some = tokens[first : first + _AT_ONCE]
                held |= _settled_at_by_token(
                    connection.execute(LIVE_OF, {"tokens": some})
                )
            return Reading(at=at, held=held)


def _settled_at_by_token(rows: Iterable[Row[Any]]) -> dict[str, tuple[float, ...]]:
    held: dict[str, tuple[float, ...]] = {}
    for row in rows:
        at = inf if row.settled_at is None else float(row.settled_at)
        held[row.token] = tuple(sorted((*held.get(row.token, ()), at)))
    return held
