"""
Why a booking is cancelled, kept so that a client gets back what it sent.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; the release before knows nothing of them."""
    for table in ("booking", "decision"):
        op.add_column(table, sa.Column("cancellation_sealed", sa.Text()))
