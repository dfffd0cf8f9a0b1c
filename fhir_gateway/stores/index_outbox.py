"""
The outbox of the engagement index: what the index must learn of our bookings.

The journal's own row of a booking is the entry: each change of it sets `index_due_at`
in the same statement, so that no change can be lost or forgotten. What the index may
have of a booking stands in `index_post`, committed before it is sent for the first
time. The difference between the two is what is sent: deletions of posts that are wrong
by now, and the right one. So several changes of a booking are one message, and a
process can die at any moment: at worst the index receives the same posts twice.

One sender at a time has the lease, so that no message overtakes another one: each
booking's posts arrive in order (ADR 0034).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    func,
    insert,
    select,
    update,
)

from fhir_gateway.model.engagement import Engagement, EngagementChange, IndexedSource
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timekeeping import instant_from_epoch
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.index_lease import IndexLease
from fhir_gateway.stores.index_post import (
    QueuedPosts,
    latest_start,
    posts_from_row,
    sealed_posts,
    wanted_post,
)
from fhir_gateway.stores.journal.queries import has_booking_id
from fhir_gateway.stores.journal.records import BookingState
from fhir_gateway.stores.journal.rows import BOOKING_ID
from fhir_gateway.stores.journal.tables import bookings, index_posts
from fhir_gateway.stores.sealing import Seal

__all__ = ["IndexOutbox", "IndexOutboxState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOutboxState:
    """
    How full the outbox is.

    Attributes:
        waiting: The bookings that the index is still to learn something of.
        failing_for: How long the one that has failed longest has; None without one.
        refused: The bookings of which the index refused the posts for good.
    """

    waiting: int
    failing_for: timedelta | None
    refused: int


class IndexOutbox:
    """
    The bookings to post.

    Each method is one transaction, and may raise `DatabaseUnavailable`.

    Args:
        database: Where the journal is.
        seal: Opens and seals bookings and posts.
        indexed: The sources that this program keeps the index for.
        holder: The name of this process in the lease; another one has another.
    """

    def __init__(
        self,
        database: Database,
        seal: Seal,
        indexed: Mapping[SourceName, IndexedSource],
        *,
        holder: str = "",
    ) -> None:
        self._database = database
        self._seal = seal
        self._indexed = dict(indexed)
        self._lease = IndexLease(holder)

    def take(self, *, limit: int, lease: timedelta) -> tuple[QueuedPosts, ...]:
        """
        Take due bookings; nobody else gets any during the lease.

        A booking that was taken before is taken alone: it may be what made its last
        delivery fail.

        Returns:
            What to send; nothing where no booking is due, or another process has the
            lease.

        Raises:
            SealBroken: None of our keys opens a booking.
        """
        # Many due bookings need no message: holds that lapsed, changes that no post
        # shows.
        while (taken := self._take_some(limit, lease)) is not None:
            if due := tuple(each for each in taken if each.changes):
                return due
        return ()

    def _take_some(self, limit: int, lease: timedelta) -> list[QueuedPosts] | None:
        """Return due bookings with what to send of each; None where none is due."""
        with self._database.writing() as connection:
            # Most looks find nothing, and need no lease.
            if not self._has_due(connection) or not self._lease.renew(
                connection, lease
            ):
                return None
            now = instant_from_epoch(
                int(connection.execute(select(database_clock())).scalar_one())
            )
            due = list(
                connection.execute(
                    select(bookings)
                    .where(*self._is_due())
                    .order_by(bookings.c.index_due_at, bookings.c.id)
                    .limit(limit)
                    .with_for_update(skip_locked=True)
                )
            )
            if not due:
                return None
            known = {
                row.booking: row
                for row in connection.execute(
                    select(index_posts).where(
                        index_posts.c.booking.in_([row.id for row in due])
                    )
                )
            }
            taken = [
                self._take(connection, row, known.get(row.id), now)
                for row in _that_go_together(due, known)
            ]
            _settle(connection, [each for each in taken if not each.changes], None)
        return taken

    def remove(self, taken: Sequence[QueuedPosts]) -> None:
        """Record that the index has accepted posts."""
        with self._database.writing() as connection:
            if not self._lease.is_held(connection):
                return
            for each in taken:
                self._store_accepted(connection, each)
            _settle(connection, taken, None)

    def postpone(
        self, taken: Sequence[QueuedPosts], wait: timedelta, *, is_refused: bool = False
    ) -> None:
        """
        Make bookings due again after a wait; at once where they have changed since.

        Args:
            taken: The bookings.
            wait: The wait.
            is_refused: The index has answered that it does not take the posts.
        """
        with self._database.writing() as connection:
            if not self._lease.is_held(connection):
                return
            _settle(connection, taken, database_clock() + wait.total_seconds())
            connection.execute(
                update(index_posts)
                .where(index_posts.c.booking.in_([each.booking for each in taken]))
                .values(
                    refusals=index_posts.c.refusals + int(is_refused),
                    failing_since=func.coalesce(
                        index_posts.c.failing_since, database_clock()
                    ),
                )
            )

    def give_up(self, taken: QueuedPosts) -> None:
        """Flag a booking with posts that the index refuses for good."""
        with self._database.writing() as connection:
            if not self._lease.is_held(connection):
                return
            _settle(connection, [taken], None)
            connection.execute(
                update(index_posts)
                .where(index_posts.c.booking == taken.booking)
                .values(refused_at=database_clock(), attempts=0, refusals=0)
            )

    def retry_refused(self) -> int:
        """Make all refused bookings due again; return how many there were."""
        refused = select(index_posts.c.booking).where(
            index_posts.c.refused_at.is_not(None)
        )
        with self._database.writing() as connection:
            connection.execute(
                update(bookings)
                .where(bookings.c.id.in_(refused))
                .values(index_due_at=database_clock())
            )
            return connection.execute(
                update(index_posts)
                .where(index_posts.c.refused_at.is_not(None))
                .values(refused_at=None, failing_since=None)
            ).rowcount

    def withdraw_passed(self) -> int:
        """Make due the bookings of which the visit has begun; return how many."""
        passed = select(index_posts.c.booking).where(
            index_posts.c.starts_at <= database_clock(),
            index_posts.c.refused_at.is_(None),
        )
        with self._database.writing() as connection:
            return connection.execute(
                update(bookings)
                .where(
                    bookings.c.id.in_(passed),
                    bookings.c.source.in_(self._indexed),
                    bookings.c.index_due_at.is_(None),
                )
                .values(index_due_at=database_clock())
            ).rowcount

    def release(self) -> None:
        """Give the lease back, so that another process need not wait for its end."""
        with self._database.writing() as connection:
            self._lease.release(connection)

    def state(self) -> IndexOutboxState:
        """Return how full the outbox is."""
        with self._database.reading() as connection:
            waiting = connection.execute(
                select(func.count())
                .select_from(bookings)
                .where(
                    bookings.c.source.in_(self._indexed),
                    bookings.c.index_due_at.is_not(None),
                )
            ).scalar_one()
            refused = connection.execute(
                select(func.count(index_posts.c.refused_at))
            ).scalar_one()
            failing_for: float | None = connection.execute(
                select(database_clock() - func.min(index_posts.c.failing_since))
            ).scalar_one()
        return IndexOutboxState(
            waiting=waiting,
            failing_for=(
                None if failing_for is None else timedelta(seconds=failing_for)
            ),
            refused=refused,
        )

    def _has_due(self, connection: Connection) -> bool:
        due = select(bookings.c.id).where(*self._is_due()).limit(1)
        return connection.execute(due).first() is not None

    def _is_due(self) -> tuple[ColumnElement[bool], ...]:
        return (
            bookings.c.source.in_(self._indexed),
            bookings.c.index_due_at <= database_clock(),
        )

    def _take(
        self,
        connection: Connection,
        row: Row[Any],
        known: Row[Any] | None,
        now: datetime,
    ) -> QueuedPosts:
        """Store and return what to send of a booking; no changes where all is right."""
        wanted = wanted_post(row, self._seal, self._indexed, now)
        posted = {} if known is None else posts_from_row(known, self._seal)
        wrong = [
            post
            for key, post in posted.items()
            if wanted is None or key != wanted.key
            # Another record of the same booking has the post by now.
            if not self._is_of_another(connection, row, post)
        ]
        is_new = wanted is not None and (
            known is None or not known.is_accepted or wanted != posted.get(wanted.key)
        )
        queued = QueuedPosts(
            booking=row.id,
            version=row.version,
            changes=(
                *(EngagementChange(engagement=each, is_deleted=True) for each in wrong),
                *(
                    (EngagementChange(engagement=wanted),)
                    if is_new and wanted is not None
                    else ()
                ),
            ),
            wanted=wanted,
            attempts=1 if known is None else known.attempts + 1,
            refusals=0 if known is None else known.refusals,
        )
        if not queued.changes:
            self._store_accepted(connection, queued)
            return queued
        posts = [*wrong, *(() if wanted is None else (wanted,))]
        self._store(
            connection,
            row.id,
            source=row.source,
            posts_sealed=sealed_posts(posts, self._seal),
            is_accepted=False,
            starts_at=latest_start(posts),
            attempts=queued.attempts,
            refused_at=None,
        )
        return queued

    def _is_of_another(
        self, connection: Connection, row: Row[Any], post: Engagement
    ) -> bool:
        return (
            connection.execute(
                select(bookings.c.id).where(
                    bookings.c.source == row.source,
                    bookings.c.unit == post.unit,
                    has_booking_id(
                        self._seal.lookups(BOOKING_ID, post.booking_id),
                        (post.booking_id,),
                    ),
                    bookings.c.state == BookingState.BOOKED.value,
                    bookings.c.id != row.id,
                )
            ).first()
            is not None
        )

    def _store_accepted(self, connection: Connection, queued: QueuedPosts) -> None:
        posts = [] if queued.wanted is None else [queued.wanted]
        self._store(
            connection,
            queued.booking,
            source=None,
            posts_sealed=sealed_posts(posts, self._seal),
            is_accepted=True,
            starts_at=latest_start(posts),
            attempts=0,
            refusals=0,
            failing_since=None,
            refused_at=None,
        )

    def _store(
        self,
        connection: Connection,
        booking: str,
        *,
        source: str | None,
        **values: object,
    ) -> None:
        changed = connection.execute(
            update(index_posts).where(index_posts.c.booking == booking).values(**values)
        )
        if changed.rowcount == 0 and source is not None:
            connection.execute(
                insert(index_posts).values(
                    {"refusals": 0, **values, "booking": booking, "source": source}
                )
            )


def _that_go_together(
    due: Sequence[Row[Any]], known: Mapping[str, Row[Any]]
) -> list[Row[Any]]:
    """Return the first due booking, with the others that have not failed either."""

    def has_failed(row: Row[Any]) -> bool:
        post = known.get(row.id)
        return post is not None and post.attempts > 0

    if has_failed(due[0]):
        return list(due[:1])
    return [row for row in due if not has_failed(row)]


def _settle(
    connection: Connection,
    taken: Sequence[QueuedPosts],
    due_at: ColumnElement[float] | None,
) -> None:
    """
    Set when bookings are due next, those that have not changed since.

    One that another transaction has locked stays due: to wait for it could be a
    deadlock, and it is about to change anyway.
    """
    versions = {each.booking: each.version for each in taken}
    unchanged = [
        row.id
        for row in connection.execute(
            select(bookings.c.id, bookings.c.version)
            .where(bookings.c.id.in_(versions))
            .order_by(bookings.c.id)
            .with_for_update(skip_locked=True)
        )
        if row.version == versions[row.id]
    ]
    connection.execute(
        update(bookings).where(bookings.c.id.in_(unchanged)).values(index_due_at=due_at)
    )
