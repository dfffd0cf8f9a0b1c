"""
The journal's tables, those of the log service and the index, and of statistics.

Every `…_at` is in seconds since 1970: `starts_at` and `ends_at` are whole seconds of
the source's timetable, all others are times of the database's clock with a fraction.
`…_sealed` holds results of `Seal.seal`, and `…_hmac` results of `Seal.lookup`; no other
column has personal data.

In SQL the table of write intents, and each column that refers to it, is named
`decision`. The previous release uses these tables during a roll-out, so a rename would
take two releases, and the better name is not worth that.

It has over 400 lines, since migrations are compared with one description of all tables.
A change here needs a revision in `migrations/versions/`; a test compares the two.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

__all__ = [
    "NOT_DONE",
    "VOID",
    "added_units",
    "bookings",
    "claims",
    "coverage",
    "engagement_looks",
    "engagements",
    "index_lease",
    "index_posts",
    "intents",
    "invitations",
    "log_outbox",
    "metadata",
    "requests",
]

# The previous release has one word for several states of today, and uses these tables
# during a roll-out: so `state` keeps its words.
VOID: Final = "REFUSED"
"""Any void booking; `ending` has its state, unless that release wrote the row."""

NOT_DONE: Final = "NOT_SENT"
"""A write that is NOT_DONE, or LEFT_NO_TRACE if it has `unchanged_at`."""

metadata: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "ck": "%(table_name)s_%(constraint_name)s_ck",
    }
)

bookings: Final = Table(
    "booking",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("unit", Text, nullable=False),
    # In clear, by the previous release only: it is newer than the sealed one beside it,
    # and the worker seals it. A later release drops it.
    Column("booking_id", Text),
    Column("token", Text, nullable=False),
    Column("timeslot", JSON, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("subject_hmac", Text, nullable=False),
    Column("subject_sealed", Text, nullable=False),
    Column("may_cancel", Boolean, nullable=False),
    Column("may_rebook", Boolean, nullable=False),
    Column("may_message", Boolean, nullable=False),
    Column("is_invitation", Boolean, nullable=False),
    # A region's text is free text: it may name a person.
    Column("message_sealed", Text),
    # The client's reason for the cancellation.
    Column("cancellation_sealed", Text),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("confirmed_at", Double),
    # When personal data were wiped. The row stays, since its id must not be used again
    # and its intents refer to it.
    Column("wiped_at", Double),
    # Why a booking is void, which `state` calls REFUSED.
    Column("ending", Text),
    # Who made it here; none for one that a source reported.
    Column("maker_sealed", Text),
    # What shares limits with its maker (`Principal.limited_as`).
    Column("client_hmac", Text),
    # Who asked for the last write to it, where that was not the resident.
    Column("actor_sealed", Text),
    # How often it was held: once, and once more for each renewal; NULL for never.
    Column("held_times", Integer),
    Column("booking_id_sealed", Text),
    Column("booking_id_hmac", Text),
    # When the engagement index is to be brought into line with this row: each change
    # sets it in its own statement, so that none can be forgotten. NULL once the index
    # has accepted the change. A source that keeps the index itself leaves it set.
    Column("index_due_at", Double),
    CheckConstraint(
        "state IN ('PENDING', 'BOOKED', 'CANCELLED', 'REFUSED')", name="state"
    ),
    CheckConstraint("version >= 1", name="version"),
)
Index(
    "booking_booked_once",
    bookings.c.source,
    bookings.c.unit,
    bookings.c.booking_id,
    unique=True,
    sqlite_where=text("booking_id IS NOT NULL AND state = 'BOOKED'"),
    postgresql_where=text("booking_id IS NOT NULL AND state = 'BOOKED'"),
)
Index(
    "booking_by_booking_id",
    bookings.c.source,
    bookings.c.unit,
    bookings.c.booking_id,
)
_HASHED_AND_BOOKED: Final = text(
    "booking_id IS NULL AND booking_id_hmac IS NOT NULL AND state = 'BOOKED'"
)
Index(
    "booking_hashed_id_booked_once",
    bookings.c.source,
    bookings.c.unit,
    bookings.c.booking_id_hmac,
    unique=True,
    sqlite_where=_HASHED_AND_BOOKED,
    postgresql_where=_HASHED_AND_BOOKED,
)
Index(
    "booking_by_hashed_id",
    bookings.c.source,
    bookings.c.booking_id_hmac,
    bookings.c.unit,
)
Index(
    "booking_id_in_clear",
    bookings.c.id,
    sqlite_where=text("booking_id IS NOT NULL"),
    postgresql_where=text("booking_id IS NOT NULL"),
)
Index(
    "booking_to_wipe",
    bookings.c.ends_at,
    sqlite_where=text("wiped_at IS NULL"),
    postgresql_where=text("wiped_at IS NULL"),
)
Index("booking_by_subject", bookings.c.subject_hmac, bookings.c.starts_at)
Index(
    "booking_held_by_client",
    bookings.c.client_hmac,
    bookings.c.created_at,
    sqlite_where=text("held_times IS NOT NULL"),
    postgresql_where=text("held_times IS NOT NULL"),
)
Index(
    "booking_by_client",
    bookings.c.client_hmac,
    bookings.c.created_at,
    sqlite_where=text("client_hmac IS NOT NULL"),
    postgresql_where=text("client_hmac IS NOT NULL"),
)
Index(
    "booking_index_due",
    bookings.c.source,
    bookings.c.index_due_at,
    sqlite_where=text("index_due_at IS NOT NULL"),
    postgresql_where=text("index_due_at IS NOT NULL"),
)

# Open invitations. One that is booked has a row of the same id in `booking`, which is
# then the truth; while that row is missing or void, the invitation is open.
invitations: Final = Table(
    "invitation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("schedule", JSON, nullable=False),
    Column("subject_hmac", Text, nullable=False),
    Column("subject_sealed", Text, nullable=False),
    Column("booking_id_hmac", Text, nullable=False),
    Column("booking_id_sealed", Text, nullable=False),
    Column("may_cancel", Boolean, nullable=False),
    Column("may_rebook", Boolean, nullable=False),
    Column("may_message", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("confirmed_at", Double, nullable=False),
    # When this server found that its unit has taken it back.
    Column("withdrawn_at", Double),
    CheckConstraint("version >= 1", name="version"),
)
Index(
    "invitation_once",
    invitations.c.source,
    invitations.c.unit,
    invitations.c.booking_id_hmac,
    unique=True,
    sqlite_where=text("withdrawn_at IS NULL"),
    postgresql_where=text("withdrawn_at IS NULL"),
)
Index("invitation_by_booking_id", invitations.c.source, invitations.c.booking_id_hmac)
Index("invitation_by_subject", invitations.c.subject_hmac)
Index("invitation_by_confirmed", invitations.c.confirmed_at)

intents: Final = Table(
    "decision",
    metadata,
    Column("id", Text, primary_key=True),
    Column("booking", Text, ForeignKey("booking.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("lease_until", Double, nullable=False),
    # Until then, by the database's clock, a hold's claim blocks its place; NULL once
    # the hold is being booked.
    Column("held_until", Double),
    Column("timeslot", JSON(none_as_null=True)),
    Column("message_sealed", Text),
    # The client's reason; copied to the booking when the cancellation is done.
    Column("cancellation_sealed", Text),
    Column("attempts", Integer, nullable=False),
    Column("next_look_at", Double),
    # Since when looks have found no trace of the write.
    Column("unchanged_at", Double),
    # When the region said yes to the write, if its list did not confirm that.
    Column("yes_at", Double),
    # The previous release reads these, and no release writes them: request keys have
    # their own table. A later release drops them.
    Column("client", Text),
    Column("key_hmac", Text),
    Column("fingerprint_hmac", Text),
    Column("created_at", Double, nullable=False),
    Column("sent_at", Double),
    Column("settled_at", Double),
    # The program that asked for it, by its `client_id`: no person's name. NULL in rows
    # of the previous release.
    Column("channel", Text),
    # Why it is flagged for manual follow-up, and since when.
    Column("alarm", Text),
    Column("alarmed_at", Double),
    CheckConstraint("kind IN ('MAKE', 'UPDATE', 'CANCEL')", name="kind"),
    CheckConstraint(
        "state IN ('CLAIMED', 'SENT', 'UNKNOWN', 'DONE', 'REFUSED', 'NOT_SENT')",
        name="state",
    ),
    # The partial indexes use settled_at: a query planner can match IS NULL, but not a
    # list of states.
    CheckConstraint(
        "(settled_at IS NULL) = (state IN ('CLAIMED', 'SENT', 'UNKNOWN'))",
        name="settled",
    ),
)
Index(
    "decision_one_unsettled",
    intents.c.booking,
    unique=True,
    sqlite_where=text("settled_at IS NULL"),
    postgresql_where=text("settled_at IS NULL"),
)
Index(
    "decision_key_once",
    intents.c.client,
    intents.c.key_hmac,
    unique=True,
    sqlite_where=text("key_hmac IS NOT NULL"),
    postgresql_where=text("key_hmac IS NOT NULL"),
)
Index("decision_in_order", intents.c.booking, intents.c.ordinal, unique=True)
# Few: settled writes that need one more look.
Index(
    "decision_unseen",
    intents.c.next_look_at,
    sqlite_where=text("settled_at IS NOT NULL AND next_look_at IS NOT NULL"),
    postgresql_where=text("settled_at IS NOT NULL AND next_look_at IS NOT NULL"),
)
Index(
    "decision_by_settled",
    intents.c.settled_at,
    sqlite_where=text("settled_at IS NOT NULL"),
    postgresql_where=text("settled_at IS NOT NULL"),
)

claims: Final = Table(
    "claim",
    metadata,
    Column("id", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("booking", Text, ForeignKey("booking.id"), nullable=False),
    Column("decision", Text, ForeignKey("decision.id"), key="intent", nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("released_at", Double),
    CheckConstraint("ordinal >= 1", name="ordinal"),
)
# This index alone guarantees that a place is never sold twice; all other handling of
# claims only makes answers better.
Index(
    "claim_one_live",
    claims.c.token,
    claims.c.ordinal,
    unique=True,
    sqlite_where=text("released_at IS NULL"),
    postgresql_where=text("released_at IS NULL"),
)
Index(
    "claim_live_by_start",
    claims.c.starts_at,
    claims.c.token,
    sqlite_where=text("released_at IS NULL"),
    postgresql_where=text("released_at IS NULL"),
)
Index("claim_by_booking", claims.c.booking)
# The partial index above has only live claims.
Index("claim_by_token", claims.c.token)
Index(
    "claim_by_released",
    claims.c.released_at,
    sqlite_where=text("released_at IS NOT NULL"),
    postgresql_where=text("released_at IS NOT NULL"),
)

requests: Final = Table(
    "request",
    metadata,
    # A keyed hash: an issuer's name of a user may be a personal number.
    Column("client", Text, primary_key=True),
    # Clients choose their keys, and one may choose a personal number.
    Column("key_hmac", Text, primary_key=True),
    Column("fingerprint_hmac", Text, nullable=False),
    Column("decision", Text, ForeignKey("decision.id"), key="intent"),
    Column("answer_sealed", Text),
    Column("created_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("keep_until", Double, nullable=False),
)
Index("request_by_keep_until", requests.c.keep_until)
Index("request_by_decision", requests.c.intent)

# How many listed bookings were found by which ways; it has no person and no booking.
coverage: Final = Table(
    "coverage",
    metadata,
    # As 2026-11.
    Column("month", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    # Why a way did not find them; empty where it did.
    Column("aggregated", Text, primary_key=True),
    Column("direct", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# Entries that the log service has not stored yet; it has no bookings.
log_outbox: Final = Table(
    "log_outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("entry_sealed", Text, nullable=False),
    Column("queued_at", Double, nullable=False),
    # Who takes an entry moves this on, so that nobody else takes it meanwhile.
    Column("next_try_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    # How many times the service has answered that it does not store the entry.
    Column("refusals", Integer, nullable=False),
    # Set once the service refuses it for good; then nobody takes it any more.
    Column("refused_at", Double),
    Column("refused_as", Text),
)
Index(
    "log_outbox_due",
    log_outbox.c.next_try_at,
    sqlite_where=text("refused_at IS NULL"),
    postgresql_where=text("refused_at IS NULL"),
)

# What the engagement index may have of our bookings: a post stands here before it is
# sent for the first time, and until its deletion is accepted.
index_posts: Final = Table(
    "index_post",
    metadata,
    Column("booking", Text, ForeignKey("booking.id"), primary_key=True),
    Column("source", Text, nullable=False),
    Column("posts_sealed", Text, nullable=False),
    # The index has accepted just these posts, and has no other of the booking.
    Column("is_accepted", Boolean, nullable=False),
    # When the visit begins, which ends its post.
    Column("starts_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    Column("failing_since", Double),
    # Set once the index refuses the posts for good; a change of the booking tries anew.
    Column("refused_at", Double),
)
Index("index_post_by_start", index_posts.c.starts_at)

# One row: who may send posts now. Two senders could overtake each other.
index_lease: Final = Table(
    "index_lease",
    metadata,
    Column("id", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("lease_until", Double, nullable=False),
)

# Posts of the engagement index that it, or its notifications, brought.
engagements: Final = Table(
    "engagement",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_hmac", Text, nullable=False),
    Column("subject_hmac", Text, nullable=False),
    Column("post_sealed", Text, nullable=False),
    # A deleted post stays for a while: a message that arrives late must not revive it.
    Column("is_deleted", Boolean, nullable=False),
    Column("starts_at", BigInteger),
    # By the index's own clock, where it says so.
    Column("updated_at", BigInteger),
    Column("received_at", Double, nullable=False),
)
Index("engagement_by_key", engagements.c.key_hmac, unique=True)
Index("engagement_by_subject", engagements.c.subject_hmac)
Index("engagement_by_received", engagements.c.received_at)

# When the index was last asked for all posts of a resident.
engagement_looks: Final = Table(
    "engagement_look",
    metadata,
    Column("subject_hmac", Text, primary_key=True),
    Column("looked_at", Double, nullable=False),
)
Index("engagement_look_by_time", engagement_looks.c.looked_at)

# The units that residents have added to those that their lists ask; no booking refers
# to them.
added_units: Final = Table(
    "added_unit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject_hmac", Text, nullable=False),
    Column("subject_sealed", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)
Index("added_unit_once", added_units.c.subject_hmac, added_units.c.unit, unique=True)
