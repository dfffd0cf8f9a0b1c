"""
The engagement index: what others have posted, and what we have still to post.

The previous release neither reads nor writes the tables. A change that it makes during
a roll-out does not set `index_due_at`; the next change of that booking does.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_DUE: Final = sa.text("index_due_at IS NOT NULL")


def upgrade() -> None:
    """Add the tables, and when a booking's post is due."""
    op.add_column("booking", sa.Column("index_due_at", sa.Double(), nullable=True))
    op.create_index(
        "booking_index_due",
        "booking",
        ["source", "index_due_at"],
        sqlite_where=_DUE,
        postgresql_where=_DUE,
    )
    op.create_table(
        "index_post",
        sa.Column("booking", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("posts_sealed", sa.Text(), nullable=False),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.Double(), nullable=True),
        sa.Column("refused_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking"], ["booking.id"], name=op.f("index_post_booking_fk")
        ),
        sa.PrimaryKeyConstraint("booking", name=op.f("index_post_pk")),
    )
    op.create_index("index_post_by_start", "index_post", ["starts_at"])
    lease = op.create_table(
        "index_lease",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("index_lease_pk")),
    )
    op.bulk_insert(lease, [{"id": "outbox", "holder": "", "lease_until": 0.0}])
    op.create_table(
        "engagement",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key_hmac", sa.Text(), nullable=False),
        sa.Column("subject_hmac", sa.Text(), nullable=False),
        sa.Column("post_sealed", sa.Text(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("engagement_pk")),
    )
    op.create_index("engagement_by_key", "engagement", ["key_hmac"], unique=True)
    op.create_index("engagement_by_subject", "engagement", ["subject_hmac"])
    op.create_index("engagement_by_received", "engagement", ["received_at"])
    op.create_table(
        "engagement_look",
        sa.Column("subject_hmac", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("subject_hmac", name=op.f("engagement_look_pk")),
    )
    op.create_index("engagement_look_by_time", "engagement_look", ["looked_at"])
