"""
Why a booking is void: it was refused, not made, only held, or recorded twice.

The previous release reads and writes REFUSED for all of them: so that word stays in
`state`, and a new column has the exact state.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and fill it for each void booking."""
    op.add_column("booking", sa.Column("ending", sa.Text(), nullable=True))
    booking = sa.table(
        "booking", sa.column("id"), sa.column("state"), sa.column("ending")
    )
    decision = sa.table(
        "decision",
        sa.column("booking"),
        sa.column("kind"),
        sa.column("state"),
        sa.column("held_until"),
    )
    make = sa.select(decision.c.booking).where(
        decision.c.booking == booking.c.id, decision.c.kind == "MAKE"
    )
    op.execute(
        booking.update()
        .where(booking.c.state == "REFUSED")
        .values(
            ending=sa.case(
                (make.where(decision.c.held_until.is_not(None)).exists(), "LAPSED"),
                (make.where(decision.c.state == "REFUSED").exists(), "REFUSED"),
                (make.where(decision.c.state == "NOT_SENT").exists(), "NOT_MADE"),
                # Booked here or adopted, and then known by another record.
                else_="REPLACED",
            )
        )
    )
