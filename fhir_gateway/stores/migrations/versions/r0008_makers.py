"""
Who made a booking, with which program, and who asked for the last write to it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of older bookings nobody knows it."""
    for name in ("maker_sealed", "client_hmac", "actor_sealed"):
        op.add_column("booking", sa.Column(name, sa.Text(), nullable=True))
    op.create_index(
        "booking_by_client",
        "booking",
        ["client_hmac", "created_at"],
        sqlite_where=sa.text("client_hmac IS NOT NULL"),
        postgresql_where=sa.text("client_hmac IS NOT NULL"),
    )
