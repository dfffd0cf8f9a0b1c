"""
The booking journal: booking, decision and claim.

There is no downgrade: it would delete the journal.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BOOKED: Final = sa.text("booking_id IS NOT NULL AND state = 'BOOKED'")
_UNSETTLED: Final = sa.text("settled_at IS NULL")
_KEYED: Final = sa.text("key_hmac IS NOT NULL")
_LIVE: Final = sa.text("released_at IS NULL")


def upgrade() -> None:
    """
    Make the three tables.
    """
    op.create_table(
        "booking",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("booking_id", sa.Text(), nullable=True),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("timeslot", sa.JSON(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("subject_hmac", sa.Text(), nullable=False),
        sa.Column("subject_sealed", sa.Text(), nullable=False),
        sa.Column("may_cancel", sa.Boolean(), nullable=False),
        sa.Column("may_rebook", sa.Boolean(), nullable=False),
        sa.Column("may_message", sa.Boolean(), nullable=False),
        sa.Column("is_invitation", sa.Boolean(), nullable=False),
        sa.Column("message_sealed", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("confirmed_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "state IN ('PENDING', 'BOOKED', 'CANCELLED', 'REFUSED')",
            name=op.f("booking_state_ck"),
        ),
        sa.CheckConstraint("version >= 1", name=op.f("booking_version_ck")),
        sa.PrimaryKeyConstraint("id", name=op.f("booking_pk")),
    )
    op.create_index(
        "booking_booked_once",
        "booking",
        ["source", "unit", "booking_id"],
        unique=True,
        sqlite_where=_BOOKED,
        postgresql_where=_BOOKED,
    )
    op.create_index(
        "booking_by_booking_id", "booking", ["source", "unit", "booking_id"]
    )
    op.create_index("booking_by_subject", "booking", ["subject_hmac", "starts_at"])
    op.create_table(
        "decision",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("booking", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("timeslot", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("message_sealed", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_look_at", sa.Double(), nullable=True),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("key_hmac", sa.Text(), nullable=True),
        sa.Column("fingerprint_hmac", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.Column("settled_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('MAKE', 'UPDATE', 'CANCEL')", name=op.f("decision_kind_ck")
        ),
        sa.CheckConstraint(
            "state IN ('CLAIMED', 'SENT', 'UNKNOWN', 'DONE', 'REFUSED', 'NOT_SENT')",
            name=op.f("decision_state_ck"),
        ),
        sa.CheckConstraint(
            "(settled_at IS NULL) = (state IN ('CLAIMED', 'SENT', 'UNKNOWN'))",
            name=op.f("decision_settled_ck"),
        ),
        sa.ForeignKeyConstraint(
            ["booking"], ["booking.id"], name=op.f("decision_booking_fk")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("decision_pk")),
    )
    op.create_index(
        "decision_in_order", "decision", ["booking", "ordinal"], unique=True
    )
    op.create_index(
        "decision_key_once",
        "decision",
        ["client", "key_hmac"],
        unique=True,
        sqlite_where=_KEYED,
        postgresql_where=_KEYED,
    )
    op.create_index(
        "decision_one_unsettled",
        "decision",
        ["booking"],
        unique=True,
        sqlite_where=_UNSETTLED,
        postgresql_where=_UNSETTLED,
    )
    op.create_table(
        "claim",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("booking", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("released_at", sa.Double(), nullable=True),
        sa.CheckConstraint("ordinal >= 1", name=op.f("claim_ordinal_ck")),
        sa.ForeignKeyConstraint(
            ["booking"], ["booking.id"], name=op.f("claim_booking_fk")
        ),
        sa.ForeignKeyConstraint(
            ["decision"], ["decision.id"], name=op.f("claim_decision_fk")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("claim_pk")),
    )
    op.create_index("claim_by_booking", "claim", ["booking"])
    op.create_index("claim_by_token", "claim", ["token"])
    op.create_index(
        "claim_live_by_start",
        "claim",
        ["starts_at", "token"],
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    op.create_index(
        "claim_one_live",
        "claim",
        ["token", "ordinal"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
