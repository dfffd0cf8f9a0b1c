"""
What the engagement index says of a resident: the units that have bookings of theirs.

Notifications bring posts as they change, and no base load. So the index itself is asked
too, where that is permitted, when it has not been asked about the resident for a while.
A post is a hint where to ask, and never a booking.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

import structlog

from fhir_gateway.model.engagement import Category, Engagement
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.national.engagement_index import EngagementIndex
from fhir_gateway.services.source.breaker import Breaker
from fhir_gateway.stores.engagements import Engagements

__all__ = ["IndexedPosts", "NoIndex", "ResidentPosts", "StoredPosts"]

_log = structlog.get_logger()

_MOST_CALLS: Final = 8
_AWAY: Final = (
    "The engagement index could not be asked, so that bookings at units where you have"
    " not been before may be missing; ask again later."
)
_IN_PART: Final = (
    "A part of what the engagement index answered could not be read, so that bookings"
    " at units where you have not been before may be missing."
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IndexedPosts:
    """
    The posts about a resident.

    Attributes:
        posts: The posts, each with the unit to ask and its id of the booking.
        missing: One sentence for the client that says what may be missing; None where
            nothing is.
    """

    posts: tuple[Engagement, ...] = ()
    missing: str | None = None

    @property
    def units(self) -> tuple[HsaId, ...]:
        """Return the units to ask, each once, in the order of their ids."""
        return tuple(sorted({each.unit for each in self.posts}))

    def of(self, categories: Collection[Category]) -> tuple[Engagement, ...]:
        """Return the posts of some categories, by unit and id."""
        return tuple(
            sorted(
                (each for each in self.posts if each.category in categories),
                key=lambda each: (each.unit, each.booking_id),
            )
        )

    @property
    def possible_invitations(self) -> tuple[Engagement, ...]:
        """
        Return the posts that may be about an invitation, by unit and id.

        A post of category `NA` does not say what it is about: its unit does
        (GetBookingDetails).
        """
        return self.of((Category.INVITATION, Category.NOT_STATED))


class ResidentPosts(Protocol):
    """Knows what the engagement index says of residents."""

    def posts_of(self, grant: Grant, *, within: timedelta) -> IndexedPosts:
        """
        Return the posts about the resident of a grant.

        An index that is away is no error: `missing` says so.

        Args:
            grant: To act for the resident.
            within: The longest time that the index may take.

        Raises:
            DatabaseUnavailable: What is stored cannot be read.
        """


class NoIndex:
    """Stands for the index where none is configured: it has no posts."""

    def posts_of(self, grant: Grant, *, within: timedelta) -> IndexedPosts:  # noqa: ARG002 - the Protocol has these parameters
        """Return no posts, of which none is missing."""
        return IndexedPosts()


class StoredPosts:
    """
    The posts that are stored, and the index's own where those are too old.

    Args:
        store: The posts.
        index: Is asked; None where it may not be.
        asked_again_after: How long its answer about a resident stays valid.
        clock: Returns the time.
    """

    def __init__(
        self,
        store: Engagements,
        index: EngagementIndex | None,
        *,
        asked_again_after: timedelta,
        clock: Clock = now,
    ) -> None:
        self._store = store
        self._index = index
        self._asked_again_after = asked_again_after
        self._clock = clock
        self._calls = threading.BoundedSemaphore(_MOST_CALLS)
        self._breaker = Breaker(clock=clock)

    def posts_of(self, grant: Grant, *, within: timedelta) -> IndexedPosts:
        """Return the posts about the resident of a grant; see `ResidentPosts`."""
        known = self._store.of(grant.subject)
        if self._index is None or (
            known.asked_ago is not None
            and timedelta() <= known.asked_ago < self._asked_again_after
        ):
            return IndexedPosts(posts=known.posts)
        missing = self._ask(self._index, grant, within)
        if missing == _AWAY:
            return IndexedPosts(posts=known.posts, missing=missing)
        return IndexedPosts(posts=self._store.of(grant.subject).posts, missing=missing)

    def _ask(
        self, index: EngagementIndex, grant: Grant, within: timedelta
    ) -> str | None:
        """Ask the index and store its answer; return what may be missing of it."""
        # Nobody waits for the index longer than for a region: it is one hint of two.
        if not self._breaker.would_allow or not self._calls.acquire(blocking=False):
            return _AWAY
        try:
            if not self._breaker.allows():
                return _AWAY
            asked_at = self._clock()
            try:
                found = index.find_content(grant.subject, within=within)
            except GatewayError as error:
                self._breaker.record_failure()
                _log.warning(
                    "engagement index could not be asked", error=error.log_text
                )
                return _AWAY
            except BaseException:
                self._breaker.cancel()
                raise
            self._breaker.record_success()
            self._store.replace(
                grant.subject, found.posts, asked_ago=self._clock() - asked_at
            )
        finally:
            self._calls.release()
        if found.unread:
            _log.warning("engagement index posts left out", posts=found.unread)
            return _IN_PART
        return None
