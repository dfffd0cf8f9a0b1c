"""
Notifications of the engagement index: changed posts of every source.
"""

from collections.abc import Sequence

import structlog

from fhir_gateway.model.engagement import EngagementChange
from fhir_gateway.stores.engagements import AppliedChanges, Engagements

__all__ = ["Notifications"]

_log = structlog.get_logger()


class Notifications:
    """
    Takes notifications.

    Args:
        store: The posts.
    """

    def __init__(self, store: Engagements) -> None:
        self._store = store

    def take(self, changes: Sequence[EngagementChange], *, unused: int) -> None:
        """
        Store changed posts, all or none.

        Args:
            changes: The posts, of which no two have the same key.
            unused: How many further posts are of no use here.

        Raises:
            DatabaseUnavailable: They may be stored or not: the index sends them again.
        """
        applied = (
            self._store.apply(changes) if changes else AppliedChanges(stored=0, stale=0)
        )
        _log.info(
            "index notification",
            stored=applied.stored,
            stale=applied.stale,
            unused=unused,
        )
