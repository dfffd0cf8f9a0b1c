"""
Statistics: the program that asked for a write, and the counts of coverage.

The previous release writes intents without a channel; its column may be NULL.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("decision", sa.Column("channel", sa.Text(), nullable=True))
    op.create_table(
        "coverage",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("aggregated", sa.Text(), nullable=False),
        sa.Column("direct", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "month", "source", "aggregated", "direct", name="coverage_pk"
        ),
    )
