"""
Quotas: how much one client may hold, and how much one resident may hold and book.

Each check runs in the transaction that makes the hold or the booking, under a lock of
the client or the resident. So requests at the same moment cannot exceed a quota, in any
number of processes; and without the database nothing is made at all.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Integer,
    and_,
    bindparam,
    func,
    or_,
    select,
)

from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.model.errors import LimitReached
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.stores.database import database_clock, lock_until_commit
from fhir_gateway.stores.journal.records import (
    BookingState,
    TooManyHolds,
    WriteKind,
    WriteState,
)
from fhir_gateway.stores.journal.rows import CLIENT, NUMBER
from fhir_gateway.stores.journal.tables import bookings, intents
from fhir_gateway.stores.sealing import Seal

__all__ = ["Quotas", "is_held"]

_HOUR: Final = timedelta(hours=1)
# The resident's own bookings may be years ahead.
_LONGEST_WAIT: Final = timedelta(days=1)
# To the others a quota must not show what the resident has elsewhere.
_KNOWS_ALL: Final = frozenset({Basis.SELF, Basis.GUARDIAN, Basis.PROXY, Basis.DEMO})


def is_held() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that an intent is a hold that has not expired."""
    return (
        intents.c.state == WriteState.CLAIMED.value,
        intents.c.held_until > database_clock(),
    )


# Each statement is built once: see `queries.py`.
_OF_CLIENT: Final = bookings.c.client_hmac.in_(bindparam("client", expanding=True))
# The bookings that count for the resident's quotas.
_OF_RESIDENT: Final = and_(
    bookings.c.subject_hmac.in_(bindparam("resident", expanding=True)),
    or_(bindparam("knows_all", type_=Boolean()), _OF_CLIENT),
)
_SINCE_AN_HOUR: Final = and_(
    _OF_CLIENT,
    bookings.c.held_times.is_not(None),
    bookings.c.created_at > database_clock() - _HOUR.total_seconds(),
)
_RESIDENT_HOLDS: Final = (
    select(func.count())
    .select_from(intents)
    .join(bookings, bookings.c.id == intents.c.booking)
    .where(_OF_RESIDENT, *is_held())
)
# In how many seconds the client holds one fewer than allowed; no row while it does.
_WAIT_FOR_HOLD: Final = (
    select(intents.c.held_until - database_clock())
    .join(bookings, bookings.c.id == intents.c.booking)
    # No hold lasts for an hour: the index has only these.
    .where(_SINCE_AN_HOUR, *is_held())
    .order_by(intents.c.held_until.desc())
    .limit(1)
    .offset(bindparam("fewer", type_=Integer()))
)
_HELD_IN_HOUR: Final = select(func.coalesce(func.sum(bookings.c.held_times), 0)).where(
    _SINCE_AN_HOUR
)
_OLDEST_FIRST: Final = (
    select(database_clock() - bookings.c.created_at, bookings.c.held_times)
    .where(_SINCE_AN_HOUR)
    .order_by(bookings.c.created_at)
)
# In how many seconds one booking fewer than allowed is ahead; no row while it is so.
_WAIT_FOR_BOOKING: Final = (
    select(bookings.c.starts_at - database_clock())
    .where(
        _OF_RESIDENT,
        bookings.c.starts_at > database_clock(),
        bookings.c.state.in_([BookingState.PENDING.value, BookingState.BOOKED.value]),
        # What a region made itself has no MAKE; and a hold is no booking yet.
        select(intents.c.id)
        .where(
            intents.c.booking == bookings.c.id,
            intents.c.kind == WriteKind.MAKE.value,
            intents.c.held_until.is_(None),
        )
        .exists(),
    )
    .order_by(bookings.c.starts_at.desc())
    .limit(1)
    .offset(bindparam("fewer", type_=Integer()))
)


class Quotas:
    """
    Checks the quotas of clients and residents.

    A caller locks first, before it locks a timeslot: see `claim_steps.py` for the order
    of locks.

    Args:
        seal: Makes the hashes of clients and residents.
        limits: The numbers.
    """

    def __init__(self, seal: Seal, limits: ClientLimits) -> None:
        self._seal = seal
        self._limits = limits

    def lock_client(self, connection: Connection, grant: Grant) -> None:
        """Lock the holds of a client until commit."""
        _lock(connection, "client", self._client(grant))

    def lock_resident(
        self, connection: Connection, number: PersonalIdentityNumber
    ) -> None:
        """Lock the holds and bookings of a resident until commit."""
        _lock(connection, "resident", self._resident(number))

    def check_hold(
        self, connection: Connection, grant: Grant, number: PersonalIdentityNumber
    ) -> None:
        """
        Check that a client may hold one more time for a resident.

        Raises:
            TooManyHolds: The resident has as many holds as allowed.
            LimitReached: The client has.
        """
        of_resident = connection.execute(
            _RESIDENT_HOLDS, self._of_both(grant, number)
        ).scalar_one()
        most = self._limits.resident_holds
        if of_resident >= most:
            raise TooManyHolds(
                f"This resident holds {most} times already: book or release one of"
                " them first."
            )
        self._check_held_now(connection, grant)
        self.check_hour(connection, grant)

    def check_hour(self, connection: Connection, grant: Grant) -> None:
        """
        Check that a client may make or renew one more hold in this hour.

        Raises:
            LimitReached: It may not.
        """
        most = self._limits.holds_an_hour
        client = {"client": self._client(grant)}
        held = connection.execute(_HELD_IN_HOUR, client).scalar_one()
        if held < most:
            return
        wait = timedelta()
        for seconds, times in connection.execute(_OLDEST_FIRST, client).all():
            held -= times
            wait = _HOUR - timedelta(seconds=seconds)
            if held < most:
                break
        raise LimitReached(
            f"This client has held times {most} times within an hour, renewals"
            " included: wait as long as Retry-After says.",
            retry_after=wait,
        )

    def check_booking(
        self, connection: Connection, grant: Grant, number: PersonalIdentityNumber
    ) -> None:
        """
        Check that a resident may have one more booking ahead.

        Raises:
            LimitReached: The resident may not.
        """
        most = self._limits.resident_bookings
        found = connection.execute(
            _WAIT_FOR_BOOKING, {**self._of_both(grant, number), "fewer": most - 1}
        ).scalar_one_or_none()
        if found is not None:
            raise LimitReached(
                f"This resident has {most} bookings ahead: cancel one of them first, or"
                " wait as long as Retry-After says.",
                retry_after=min(timedelta(seconds=found), _LONGEST_WAIT),
            )

    def _check_held_now(self, connection: Connection, grant: Grant) -> None:
        most = self._limits.holds
        left = connection.execute(
            _WAIT_FOR_HOLD, {"client": self._client(grant), "fewer": most - 1}
        ).scalar_one_or_none()
        if left is not None:
            raise LimitReached(
                f"This client holds {most} times already: book or release one of them,"
                " or wait as long as Retry-After says.",
                retry_after=timedelta(seconds=left),
            )

    def _of_both(
        self, grant: Grant, number: PersonalIdentityNumber
    ) -> dict[str, object]:
        return {
            "resident": self._resident(number),
            "client": self._client(grant),
            "knows_all": grant.basis in _KNOWS_ALL,
        }

    def _client(self, grant: Grant) -> tuple[str, ...]:
        return self._seal.lookups(CLIENT, grant.principal.limited_as)

    def _resident(self, number: PersonalIdentityNumber) -> tuple[str, ...]:
        return self._seal.lookups(NUMBER, number.reveal())


def _lock(connection: Connection, kind: str, hashes: Iterable[str]) -> None:
    lock_until_commit(connection, *(f"{kind} {each}" for each in hashes))
