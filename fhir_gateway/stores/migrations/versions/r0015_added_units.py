"""
The units that residents have added to those that their lists ask.

The previous release neither reads nor writes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "added_unit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject_hmac", sa.Text(), nullable=False),
        sa.Column("subject_sealed", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("added_unit_pk")),
    )
    op.create_index(
        "added_unit_once", "added_unit", ["subject_hmac", "unit"], unique=True
    )
