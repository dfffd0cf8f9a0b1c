"""
The audit trail's two tables.

`recorded_at` is in seconds since 1970 by the database's clock. `persons_sealed` is a
result of `Seal.seal`, and each `…_hmac` one of `Seal.lookup`; no other column has
personal data. The chain does not cover these, so that they can be made anew with
another key: it covers `persons_digest`, the hash of what is sealed and of a random
number in it.

A change here needs a revision in `migrations/versions/`; a test compares the two.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

from fhir_gateway.stores.journal.tables import metadata as _journal

__all__ = ["CHAINED", "anchors", "events", "metadata"]

# SQLite needs no index for a key that is an INTEGER: it is the row's own number.
_SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")

metadata: Final = MetaData(naming_convention=_journal.naming_convention)

events: Final = Table(
    "audit_event",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("recorded_at", Double, nullable=False),
    Column("role", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("interaction", Text, nullable=False),
    # NULL for a refusal.
    Column("basis", Text),
    Column("booking", Text),
    # Their names, with a blank between two.
    Column("sources", Text, nullable=False),
    Column("subject_hmac", Text),
    Column("persons_sealed", Text, nullable=False),
    Column("persons_digest", Text, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("hash_hmac", Text, nullable=False),
)
Index("audit_event_by_id", events.c.id, unique=True)
Index("audit_event_by_subject", events.c.subject_hmac, events.c.sequence)

CHAINED: Final = (
    *("sequence", "id", "recorded_at", "role", "purpose", "resource_type"),
    *("interaction", "basis", "booking", "sources", "persons_digest"),
    "previous_hash",
)
"""The columns that a row's hash covers, in this order."""

anchors: Final = Table(
    "audit_anchor",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("sequence", _SEQUENCE, nullable=False),
    Column("hash", Text, nullable=False),
    Column("hash_hmac", Text, nullable=False),
    CheckConstraint("kind IN ('START', 'HEAD')", name="kind"),
)
