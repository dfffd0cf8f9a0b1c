"""
Indexes for reading only the claims that have changed.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SETTLED: Final = sa.text("settled_at IS NOT NULL")
_RELEASED: Final = sa.text("released_at IS NOT NULL")


def upgrade() -> None:
    """Add the indexes."""
    op.create_index(
        "decision_by_settled",
        "decision",
        ["settled_at"],
        sqlite_where=_SETTLED,
        postgresql_where=_SETTLED,
    )
    op.create_index(
        "claim_by_released",
        "claim",
        ["released_at"],
        sqlite_where=_RELEASED,
        postgresql_where=_RELEASED,
    )
