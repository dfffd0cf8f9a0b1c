"""
The outbox of the log service.

The previous release neither reads nor writes it.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NOT_REFUSED: Final = sa.text("refused_at IS NULL")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "log_outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("entry_sealed", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.Double(), nullable=False),
        sa.Column("next_try_at", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("refused_at", sa.Double(), nullable=True),
        sa.Column("refused_as", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("log_outbox_pk")),
    )
    op.create_index(
        "log_outbox_due",
        "log_outbox",
        ["next_try_at"],
        sqlite_where=_NOT_REFUSED,
        postgresql_where=_NOT_REFUSED,
    )
