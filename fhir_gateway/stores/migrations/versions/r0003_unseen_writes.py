"""
An index of settled writes that need one more look.

The previous release left the time of the last look in the writes that it settled.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_UNSEEN: Final = sa.text("settled_at IS NOT NULL AND next_look_at IS NOT NULL")


def upgrade() -> None:
    """Add the index, and clear the times that the previous release left."""
    decision = sa.table("decision", sa.column("settled_at"), sa.column("next_look_at"))
    op.execute(
        decision.update()
        .where(decision.c.settled_at.is_not(None))
        .values(next_look_at=None)
    )
    op.create_index(
        "decision_unseen",
        "decision",
        ["next_look_at"],
        sqlite_where=_UNSEEN,
        postgresql_where=_UNSEEN,
    )
