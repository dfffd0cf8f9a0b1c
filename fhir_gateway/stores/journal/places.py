"""
Places: which of a timeslot's are claimed here, and what has lately changed about that.

A web process leaves claimed places out of its searches. It reads all of them once, and
from then on what has changed: there may be a hundred thousand.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final

from sqlalchemy import ColumnElement, Double, Row, and_, bindparam, select, union_all

from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.claiming import is_live
from fhir_gateway.stores.journal.tables import claims, decisions

__all__ = ["ClaimedPlace", "Place", "Places", "Reading"]

# A change has the time of its statement and is seen from its commit on, which comes
# later: a writer may wait for a lock for so long.
_COMMITS_WITHIN: Final = timedelta(seconds=30)

_CLAIMED: Final = select(
    claims.c.id, claims.c.token, decisions.c.settled_at, is_live().label("is_live")
).join(
    decisions,
    # They are of one booking anyway; by it the database finds a decision's claims.
    and_(decisions.c.id == claims.c.decision, decisions.c.booking == claims.c.booking),
)
_SINCE: Final[ColumnElement[float]] = bindparam("since", type_=Double())

_LIVE: Final = _CLAIMED.where(is_live(), claims.c.starts_at > bindparam("after"))
_UNSETTLED: Final = decisions.alias()
# A claim changes until its decision is settled, when it is, and when it is released.
_CHANGED: Final = union_all(
    _CLAIMED.where(
        decisions.c.settled_at.is_(None),
        # Few; without this SQLite goes through all claims to find theirs.
        claims.c.booking.in_(
            select(_UNSETTLED.c.booking).where(_UNSETTLED.c.settled_at.is_(None))
        ),
    ),
    _CLAIMED.where(decisions.c.settled_at > _SINCE),
    _CLAIMED.where(claims.c.released_at > _SINCE),
)
_OF_TIMESLOT: Final = (
    select(claims.c.booking, decisions.c.settled_at)
    .join(decisions, decisions.c.id == claims.c.decision)
    .where(is_live(), claims.c.token == bindparam("timeslot"))
)
_ANY: Final = (
    select(claims.c.token).where(claims.c.token == bindparam("timeslot")).limit(1)
)


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
class ClaimedPlace:
    """
    A claim of a place, live or not any more.

    Attributes:
        claim: What tells it from other claims.
        token: The timeslot's.
        settled_at: When its write was settled, in seconds since 1970; infinity while
            that is on its way or its outcome unknown, or the time only held.
        is_live: It keeps others out.
    """

    claim: str
    token: str
    settled_at: float
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    What was read of claims.

    Attributes:
        at: When, by the database's clock; `Places.changed` goes on from there.
        places: The claims.
    """

    at: float
    places: tuple[ClaimedPlace, ...]


class Places:
    """
    Tells of places.

    Args:
        database: Where the journal is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, token: str) -> tuple[Place, ...]:
        """Return the places of a timeslot that are claimed here."""
        with self._database.reading() as connection:
            rows = connection.execute(_OF_TIMESLOT, {"timeslot": token}).all()
        return tuple(
            Place(booking=row.booking, is_settled=row.settled_at is not None)
            for row in rows
        )

    def is_known(self, token: str) -> bool:
        """Return whether a place of a timeslot is, or ever was, claimed here."""
        with self._database.reading() as connection:
            return connection.execute(_ANY, {"timeslot": token}).first() is not None

    def live(self, *, starting_after: datetime) -> Reading:
        """Return every live claim of a time to come."""
        with self._database.reading() as connection:
            at = connection.execute(select(database_clock())).scalar_one()
            rows = connection.execute(_LIVE, {"after": epoch_seconds(starting_after)})
            return Reading(at=at, places=_claimed(rows))

    def changed(self, since: Reading) -> Reading:
        """
        Return the claims that have changed since a reading, and some that have not.

        One that was committed half a minute after it was made is missed, and so is what
        was done while the database's clock was put back: `live` has it.
        """
        with self._database.reading() as connection:
            at = connection.execute(select(database_clock())).scalar_one()
            rows = connection.execute(
                _CHANGED, {"since": since.at - _COMMITS_WITHIN.total_seconds()}
            )
            return Reading(at=at, places=_claimed(rows))


def _claimed(rows: Iterable[Row[Any]]) -> tuple[ClaimedPlace, ...]:
    return tuple(
        ClaimedPlace(
            claim=row.id,
            token=row.token,
            settled_at=inf if row.settled_at is None else float(row.settled_at),
            is_live=bool(row.is_live),
        )
        for row in rows
    )
