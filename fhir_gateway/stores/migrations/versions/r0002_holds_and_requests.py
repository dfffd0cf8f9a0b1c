"""
Holds, clients' request keys, alarms, and the wiping of personal data.

The previous release still works on these tables: it treats a hold as a claim of a slow
process, and its reconciliation settles an expired hold.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NOT_WIPED: Final = sa.text("wiped_at IS NULL")


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("booking", sa.Column("wiped_at", sa.Double(), nullable=True))
    op.create_index(
        "booking_to_wipe",
        "booking",
        ["ends_at"],
        sqlite_where=_NOT_WIPED,
        postgresql_where=_NOT_WIPED,
    )
    op.add_column("decision", sa.Column("held_until", sa.Double(), nullable=True))
    op.add_column("decision", sa.Column("unchanged_at", sa.Double(), nullable=True))
    op.add_column("decision", sa.Column("alarm", sa.Text(), nullable=True))
    op.add_column("decision", sa.Column("alarmed_at", sa.Double(), nullable=True))
    op.create_table(
        "request",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("key_hmac", sa.Text(), nullable=False),
        sa.Column("fingerprint_hmac", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("answer_sealed", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("keep_until", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision"], ["decision.id"], name=op.f("request_decision_fk")
        ),
        sa.PrimaryKeyConstraint("client", "key_hmac", name=op.f("request_pk")),
    )
    op.create_index("request_by_keep_until", "request", ["keep_until"])
    op.create_index("request_by_decision", "request", ["decision"])
