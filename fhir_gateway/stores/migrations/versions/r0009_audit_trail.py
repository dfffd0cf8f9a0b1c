"""
The audit trail: a row for each grant and refusal, and the anchors of their chain.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the first entry makes the anchors, which need a key."""
    sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_event",
        sa.Column("sequence", sequence, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Double(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("interaction", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=True),
        sa.Column("booking", sa.Text(), nullable=True),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("subject_hmac", sa.Text(), nullable=True),
        sa.Column("persons_sealed", sa.Text(), nullable=False),
        sa.Column("persons_digest", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("hash_hmac", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="audit_event_pk"),
    )
    op.create_index("audit_event_by_id", "audit_event", ["id"], unique=True)
    op.create_index(
        "audit_event_by_subject", "audit_event", ["subject_hmac", "sequence"]
    )
    op.create_table(
        "audit_anchor",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sequence", sequence, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("hash_hmac", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('START', 'HEAD')", name="audit_anchor_kind_ck"),
        sa.PrimaryKeyConstraint("kind", name="audit_anchor_pk"),
    )
