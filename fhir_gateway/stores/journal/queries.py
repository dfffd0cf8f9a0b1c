"""
The SQL statements of the journal, each built once.

SQLAlchemy takes several times as long to build a statement as to run it.
"""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    insert,
    or_,
    select,
    union,
    update,
)

from fhir_gateway.stores.database import database_clock
from fhir_gateway.stores.journal.records import BookingState, WriteState
from fhir_gateway.stores.journal.tables import (
    VOID,
    bookings,
    claims,
    intents,
    invitations,
)

__all__ = [
    "ANY_CLAIM",
    "BOOKING",
    "BOOKING_FOR_UPDATE",
    "BOOKING_WITH_PENDING",
    "CHANGE",
    "CHANGED_TOKENS",
    "CHANGE_AND_CONFIRM",
    "CONFIRM",
    "DUE_AT",
    "INSERT_BOOKING",
    "INSERT_CLAIM",
    "INSERT_INTENT",
    "INTENT",
    "INVITATION",
    "INVITATION_OF_ANY_STATE",
    "IS_UNSEEN",
    "IS_UNSETTLED",
    "LAPSED_HOLDS",
    "LATEST_INTENT",
    "LIVE_AFTER",
    "LIVE_CLAIMS",
    "LIVE_OF",
    "MARK_SENT",
    "OTHER_RECORD",
    "PENDING_INTENT",
    "PLACES_OF_TIMESLOT",
    "SETTLE",
    "SOURCES_WITH_DUE",
    "SOURCE_OF_BOOKING",
    "STANDING_BOOKING",
    "has_booking_id",
    "is_live",
]

# An intent as `intent_from_row` reads it. Only the database's clock decides whether a
# hold has expired.
INTENT: Final = (
    *intents.c,
    func.coalesce(
        and_(
            intents.c.state == WriteState.CLAIMED.value,
            intents.c.held_until <= database_clock(),
        ),
        false(),
    ).label("is_lapsed"),
)


def has_booking_id(
    hashes: Any,  # noqa: ANN401 - SQLAlchemy's: values, or a parameter for them
    in_clear: Any,  # noqa: ANN401 - SQLAlchemy's: a value, or a parameter for it
) -> ColumnElement[bool]:
    """Return the condition that a booking has one of some ids of its region."""
    return or_(
        and_(bookings.c.booking_id.is_(None), bookings.c.booking_id_hmac.in_(hashes)),
        bookings.c.booking_id.in_(in_clear),
    )


def is_live() -> ColumnElement[bool]:
    """
    Return the condition that a claim, joined with its intent, blocks its place.

    The claim of an expired hold does not, even before it is cleaned up.
    """
    return and_(
        claims.c.released_at.is_(None),
        or_(
            intents.c.held_until.is_(None),
            intents.c.held_until > database_clock(),
        ),
    )


# Claims.

LAPSED_HOLDS: Final = (
    select(intents.c.id, intents.c.booking)
    .join(claims, claims.c.intent == intents.c.id)
    .where(
        claims.c.token == bindparam("token"),
        claims.c.released_at.is_(None),
        intents.c.held_until <= database_clock(),
    )
)
LIVE_CLAIMS: Final = (
    select(claims.c.ordinal, claims.c.booking, bookings.c.subject_hmac)
    .join(bookings, bookings.c.id == claims.c.booking)
    .where(claims.c.token == bindparam("token"), claims.c.released_at.is_(None))
)
INSERT_INTENT: Final = (
    insert(intents)
    .values(
        ordinal=select(func.coalesce(func.max(intents.c.ordinal), 0) + 1)
        .where(intents.c.booking == bindparam("of_booking"))
        .scalar_subquery(),
        state=WriteState.CLAIMED.value,
        fence=1,
        lease_until=database_clock() + bindparam("lease_s", type_=Double()),
        held_until=database_clock() + bindparam("held_s", type_=Double()),
        attempts=0,
        created_at=database_clock(),
    )
    .returning(*INTENT)
)
INSERT_CLAIM: Final = insert(claims).values(created_at=database_clock())
BOOKING: Final = select(bookings).where(
    bookings.c.id == bindparam("booking"), bookings.c.wiped_at.is_(None)
)
BOOKING_FOR_UPDATE: Final = BOOKING.with_for_update()


# Intents and settlements.

INSERT_BOOKING: Final = insert(bookings).values(
    created_at=database_clock(), updated_at=database_clock()
)
MARK_SENT: Final = (
    update(intents)
    .where(
        intents.c.id == bindparam("intent"),
        intents.c.state == WriteState.CLAIMED.value,
        intents.c.fence == bindparam("known_fence"),
    )
    .values(
        state=WriteState.SENT.value,
        fence=intents.c.fence + 1,
        sent_at=database_clock(),
        lease_until=database_clock() + bindparam("lease_s", type_=Double()),
    )
    .returning(*INTENT)
)
SETTLE: Final = (
    update(intents)
    .where(
        intents.c.id == bindparam("intent"),
        intents.c.state.in_(bindparam("accepted", expanding=True)),
        intents.c.fence == bindparam("known_fence"),
    )
    .values(settled_at=database_clock(), next_look_at=None)
    .returning(*INTENT)
)
SOURCE_OF_BOOKING: Final = select(bookings.c.source).where(
    bookings.c.id == bindparam("booking")
)
LATEST_INTENT: Final = (
    select(*INTENT)
    .where(intents.c.booking == bindparam("of_booking"))
    .order_by(intents.c.ordinal.desc())
    .limit(1)
)
PENDING_INTENT: Final = LATEST_INTENT.where(intents.c.settled_at.is_(None))
# One statement, since two would read the database at two moments.
BOOKING_WITH_PENDING: Final = (
    select(*bookings.c, *(each.label(f"intent_{each.key}") for each in INTENT))
    .outerjoin(
        intents,
        and_(intents.c.booking == bookings.c.id, intents.c.settled_at.is_(None)),
    )
    .where(bookings.c.id == bindparam("of_booking"), bookings.c.wiped_at.is_(None))
)
STANDING_BOOKING: Final = (
    select(bookings.c.id)
    .where(
        bookings.c.subject_hmac.in_(bindparam("hashes", expanding=True)),
        bookings.c.token == bindparam("timeslot_token"),
        bookings.c.state.in_([BookingState.PENDING.value, BookingState.BOOKED.value]),
    )
    .order_by(bookings.c.created_at, bookings.c.id)
    .limit(1)
)


# Bookings.

CONFIRM: Final = (
    update(bookings)
    .where(bookings.c.id == bindparam("booking"))
    .values(confirmed_at=database_clock())
    .returning(*bookings.c)
)
CHANGE: Final = (
    update(bookings)
    .where(bookings.c.id == bindparam("booking"))
    .values(
        version=bookings.c.version + 1,
        updated_at=database_clock(),
        index_due_at=database_clock(),
    )
    .returning(*bookings.c)
)
CHANGE_AND_CONFIRM: Final = CHANGE.values(confirmed_at=database_clock())
OTHER_RECORD: Final = (
    select(bookings)
    .where(
        bookings.c.source == bindparam("source"),
        bookings.c.unit == bindparam("unit"),
        has_booking_id(
            bindparam("hashes", expanding=True), bindparam("in_clear", expanding=True)
        ),
        bookings.c.state == BookingState.BOOKED.value,
        bookings.c.id != bindparam("booking"),
    )
    .with_for_update()
)


# Invitations.

_IS_OPEN: Final = or_(bookings.c.id.is_(None), bookings.c.state == VOID)


def _later(own: Any, of_booking: Any) -> ColumnElement[Any]:  # noqa: ANN401 - SQLAlchemy's: columns of any type
    """Return the later of an invitation's column and of its booking's, if any."""
    return case((of_booking > own, of_booking), else_=own)


# A client that saw a failed booking of the invitation has seen its version.
INVITATION_OF_ANY_STATE: Final[Select[Any]] = select(
    *invitations.c,
    _later(invitations.c.version, bookings.c.version).label("shown_version"),
    _later(invitations.c.updated_at, bookings.c.updated_at).label("shown_updated_at"),
    _IS_OPEN.label("is_open"),
    bookings.c.state.label("booking_state"),
    (database_clock() - bookings.c.updated_at).label("changed_ago"),
).outerjoin(bookings, bookings.c.id == invitations.c.id)
INVITATION: Final[Select[Any]] = INVITATION_OF_ANY_STATE.where(_IS_OPEN)


# Places.

_CLAIM_OF: Final = and_(
    intents.c.id == claims.c.intent,
    # Implied by the line above; it lets the database use the index on the booking.
    intents.c.booking == claims.c.booking,
)
_LIVE: Final = (
    select(claims.c.token, intents.c.settled_at)
    .join(intents, _CLAIM_OF)
    .where(is_live())
)
LIVE_AFTER: Final = _LIVE.where(claims.c.starts_at > bindparam("after"))
LIVE_OF: Final = _LIVE.where(claims.c.token.in_(bindparam("tokens", expanding=True)))

_SINCE: Final[ColumnElement[float]] = bindparam("since", type_=Double())
_TOKENS: Final = select(claims.c.token).join(intents, _CLAIM_OF)
_UNSETTLED: Final = intents.alias()
# A claim may change until its intent is settled, then when it is released.
CHANGED_TOKENS: Final = union(
    _TOKENS.where(
        intents.c.settled_at.is_(None),
        # They are few; without this condition SQLite scans all claims.
        claims.c.booking.in_(
            select(_UNSETTLED.c.booking).where(_UNSETTLED.c.settled_at.is_(None))
        ),
    ),
    _TOKENS.where(intents.c.settled_at > _SINCE),
    _TOKENS.where(claims.c.released_at > _SINCE),
)
PLACES_OF_TIMESLOT: Final = (
    select(claims.c.booking, intents.c.settled_at)
    .join(intents, intents.c.id == claims.c.intent)
    .where(is_live(), claims.c.token == bindparam("timeslot"))
)
ANY_CLAIM: Final = (
    select(claims.c.token).where(claims.c.token == bindparam("timeslot")).limit(1)
)


# Outcomes.

DUE_AT: Final = func.coalesce(intents.c.next_look_at, 0)
IS_UNSETTLED: Final = and_(
    intents.c.settled_at.is_(None),
    or_(
        intents.c.state == WriteState.UNKNOWN.value,
        intents.c.lease_until <= database_clock(),
    ),
    database_clock() >= DUE_AT,
)
IS_UNSEEN: Final = and_(
    intents.c.settled_at.is_not(None),
    intents.c.next_look_at <= database_clock(),
)
_SOURCE: Final = (
    select(bookings.c.source)
    .select_from(intents)
    .join(bookings, bookings.c.id == intents.c.booking)
)
SOURCES_WITH_DUE: Final = union(_SOURCE.where(IS_UNSETTLED), _SOURCE.where(IS_UNSEEN))
