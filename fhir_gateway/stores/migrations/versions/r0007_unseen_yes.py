"""
A region's yes that its list does not bear out.

Absence alone must not settle such a write as not done: the two contradict each other.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of older writes nobody knows it."""
    op.add_column("decision", sa.Column("yes_at", sa.Double(), nullable=True))
