"""
The lease of the index outbox: one process at a time sends its posts.

Only the database's clock decides about it.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, or_, select, update

from fhir_gateway.stores.database import database_clock
from fhir_gateway.stores.journal.tables import index_lease

__all__ = ["IndexLease"]

_OUTBOX: Final = "outbox"


class IndexLease:
    """
    The lease, as one process sees it; each method runs in the caller's transaction.

    Args:
        holder: The name of this process; another one has another.
    """

    def __init__(self, holder: str) -> None:
        self._holder = holder

    def renew(self, connection: Connection, lease: timedelta) -> bool:
        """Take or keep the lease; return whether this process has it."""
        renewed = connection.execute(
            update(index_lease)
            .where(
                index_lease.c.id == _OUTBOX,
                or_(
                    index_lease.c.lease_until <= database_clock(),
                    index_lease.c.holder == self._holder,
                ),
            )
            .values(
                holder=self._holder,
                lease_until=database_clock() + lease.total_seconds(),
            )
        )
        return renewed.rowcount == 1

    def is_held(self, connection: Connection) -> bool:
        """Return whether this process still has the lease, which stays until commit."""
        found = connection.execute(
            select(index_lease.c.id)
            .where(
                index_lease.c.id == _OUTBOX,
                index_lease.c.holder == self._holder,
                index_lease.c.lease_until > database_clock(),
            )
            .with_for_update()
        ).first()
        return found is not None

    def release(self, connection: Connection) -> None:
        """Give the lease back, so that another process need not wait for its end."""
        connection.execute(
            update(index_lease)
            .where(index_lease.c.holder == self._holder)
            .values(lease_until=0)
        )
