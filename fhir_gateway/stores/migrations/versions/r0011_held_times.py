"""
How often a booking was held, for the limits of its client.

The previous release leaves the column NULL: its holds are in no count of an hour.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_WAS_HELD: Final = sa.text("held_times IS NOT NULL")


def upgrade() -> None:
    """Add the column; of older holds nobody knows it."""
    op.add_column("booking", sa.Column("held_times", sa.Integer(), nullable=True))
    op.create_index(
        "booking_held_by_client",
        "booking",
        ["client_hmac", "created_at"],
        sqlite_where=_WAS_HELD,
        postgresql_where=_WAS_HELD,
    )
