"""
The reason of a cancellation, so that a client gets back the reason that it sent.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; the previous release does not use them."""
    for table in ("booking", "decision"):
        op.add_column(table, sa.Column("cancellation_sealed", sa.Text()))
