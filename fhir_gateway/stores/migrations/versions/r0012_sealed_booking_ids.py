"""
The regions' booking ids, sealed, and a keyed hash to look them up by.

The previous release reads and writes `booking_id` during a roll-out, so that the column
stays: `journal/rows.py` says which of the two counts. The worker seals what is there in
clear, since a migration has no keys.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BOOKED: Final = sa.text(
    "booking_id IS NULL AND booking_id_hmac IS NOT NULL AND state = 'BOOKED'"
)


def upgrade() -> None:
    """Add the columns, and indexes like those of the id in clear."""
    for name in ("booking_id_sealed", "booking_id_hmac"):
        op.add_column("booking", sa.Column(name, sa.Text(), nullable=True))
    op.create_index(
        "booking_hashed_id_booked_once",
        "booking",
        ["source", "unit", "booking_id_hmac"],
        unique=True,
        sqlite_where=_BOOKED,
        postgresql_where=_BOOKED,
    )
    op.create_index(
        "booking_by_hashed_id", "booking", ["source", "booking_id_hmac", "unit"]
    )
    # Those that the worker has still to seal; a later release drops the column.
    op.create_index(
        "booking_id_in_clear",
        "booking",
        ["id"],
        sqlite_where=sa.text("booking_id IS NOT NULL"),
        postgresql_where=sa.text("booking_id IS NOT NULL"),
    )
