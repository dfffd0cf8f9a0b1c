"""
Open invitations, which have no time yet.

The previous release neither reads nor writes the table. It does not find an invitation
by its id, and shows a booking that has been made of one like any other.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_OPEN: Final = sa.text("withdrawn_at IS NULL")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "invitation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("subject_hmac", sa.Text(), nullable=False),
        sa.Column("subject_sealed", sa.Text(), nullable=False),
        sa.Column("booking_id_hmac", sa.Text(), nullable=False),
        sa.Column("booking_id_sealed", sa.Text(), nullable=False),
        sa.Column("may_cancel", sa.Boolean(), nullable=False),
        sa.Column("may_rebook", sa.Boolean(), nullable=False),
        sa.Column("may_message", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("confirmed_at", sa.Double(), nullable=False),
        sa.Column("withdrawn_at", sa.Double(), nullable=True),
        sa.CheckConstraint("version >= 1", name=op.f("invitation_version_ck")),
        sa.PrimaryKeyConstraint("id", name=op.f("invitation_pk")),
    )
    op.create_index(
        "invitation_once",
        "invitation",
        ["source", "unit", "booking_id_hmac"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(
        "invitation_by_booking_id", "invitation", ["source", "booking_id_hmac"]
    )
    op.create_index("invitation_by_subject", "invitation", ["subject_hmac"])
    op.create_index("invitation_by_confirmed", "invitation", ["confirmed_at"])
