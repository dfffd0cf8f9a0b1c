"""
Places: which of a timeslot's are claimed here, and what has lately changed about that.

A web process leaves claimed places out of its searches. It reads all of them once, and
from then on what has changed: there may be a hundred thousand.
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

# A change has the time of its statement and is seen from its commit on, which comes
# later: a writer may wait for a lock for so long.
_COMMITS_WITHIN: Final = timedelta(seconds=30)
# Databases take so many values in one statement, and more.
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    A place of a timeslot that is claimed here.

    Attributes:
        booking: Our own id of the booking that has it.
        is_settled: Its source knows of it, so that it lists the place no more.
    """

    booking: str
    is_settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    What was read of timeslots of which places are claimed.

    Attributes:
        at: When, by the database's clock; `Places.read_changed` goes on from there.
        held: For each timeslot, by its token, when each live claim's write was settled,
            in seconds since 1970, ascending; infinity while that is on its way or its
            outcome unknown, or the time only held.
    """

    at: float
    held: Mapping[str, tuple[float, ...]]


class Places:
    """
    Tells of places.

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
        """Return every timeslot to come with a live claim."""
        with self._database.reading() as connection:
            at = connection.execute(select(database_clock())).scalar_one()
            return Reading(
                at=at,
                held=_held(
                    connection.execute(
                        LIVE_AFTER, {"after": epoch_seconds(starting_after)}
                    )
                ),
            )

    def read_changed(self, since: float) -> Reading:
        """
        Return the timeslots whose claims have changed since then, and some others.

        One without a live claim has none in `held`. What was committed half a minute
        after it was done is missed, and so is what was done while the database's clock
        was put back: `read_live` has it.
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
                held |= _held(connection.execute(LIVE_OF, {"tokens": some}))
            return Reading(at=at, held=held)


def _held(rows: Iterable[Row[Any]]) -> dict[str, tuple[float, ...]]:
    held: dict[str, tuple[float, ...]] = {}
    for row in rows:
        at = inf if row.settled_at is None else float(row.settled_at)
        held[row.token] = tuple(sorted((*held.get(row.token, ()), at)))
    return held
