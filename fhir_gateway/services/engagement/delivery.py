"""
Delivery of our bookings' posts from the outbox to the engagement index.

The index takes all posts of a message or none. It says no by a fault, or by a result
(skltp: `EI000` to `EI006`), and neither says for how long.
"""

import threading
from collections.abc import Sequence
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.national.engagement_index import EngagementIndex, UpdateResult
from fhir_gateway.services.outbox.delivery import Delivery, Reply, Verdict
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.index_post import QueuedPosts

__all__ = ["IndexDelivery"]

_log = structlog.get_logger()

# Bookings, each of which has a few posts: a message may have 1,000.
_MOST_BOOKINGS: Final = 50
_REFUSED: Final = "the engagement index refused the posts"


class IndexDelivery(Delivery[QueuedPosts]):
    """
    Delivers posts until the index has what the journal has.

    Several processes may run it at once; one of them sends.

    Args:
        outbox: The bookings.
        index: Takes the posts.
    """

    def __init__(self, outbox: IndexOutbox, index: EngagementIndex) -> None:
        super().__init__(outbox, most=_MOST_BOOKINGS)
        self._bookings = outbox
        self._index = index

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set; another process may go on at once."""
        try:
            super().run(stop)
        finally:
            try:
                self._bookings.release()
            except GatewayError as error:
                self.log_unusable(error)

    @property
    def unwritable(self) -> Reply:
        """Return what counts as the answer where a message cannot be written."""
        return Reply(Verdict.INVALID, "a post cannot be written")

    def send(self, taken: Sequence[QueuedPosts]) -> Reply:
        """Send posts in one message; see `Delivery`."""
        changes = [change for each in taken for change in each.changes]
        if self._index.update(changes) is UpdateResult.ACCEPTED:
            return Reply(Verdict.ACCEPTED, "")
        return Reply(Verdict.REFUSED, _REFUSED)

    def give_up(self, entry: QueuedPosts, reply: Reply) -> None:
        """Flag a booking with posts that the index refuses for good."""
        self._bookings.give_up(entry)
        _log.error("index post refused", booking=entry.booking, error=reply.text)

    def log_away(self, error: str) -> None:
        """Log that the index accepts nothing."""
        _log.error("engagement index accepts nothing", error=error)

    def log_back(self) -> None:
        """Log that it accepts posts again."""
        _log.info("engagement index accepts again")

    def log_unusable(self, error: GatewayError) -> None:
        """Log that the outbox cannot be used."""
        _log.error("index outbox cannot be used", error=error.log_text)

    def log_bug(self, error: Exception) -> None:
        """Log a fault of this program."""
        _log.error("index delivery failed", **fault_place(error))
