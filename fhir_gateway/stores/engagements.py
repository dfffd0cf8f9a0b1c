"""
Posts of the engagement index, as it, or its notifications, brought them.

Each is sealed; a keyed hash of its resident and one of its key find it. A message may
arrive twice, and late: `apply` says which of two is the newer.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from fhir_gateway.model.engagement import Engagement, EngagementChange
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.stores.database import (
    Database,
    database_clock,
    lock_until_commit,
)
from fhir_gateway.stores.journal.rows import ENGAGEMENT, NUMBER, Values
from fhir_gateway.stores.journal.tables import engagement_looks, engagements
from fhir_gateway.stores.sealing import Seal

__all__ = ["AppliedChanges", "Engagements", "KnownPosts"]

_LOCK: Final = "engagement index"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedChanges:
    """
    What became of changes.

    Attributes:
        stored: How many of them changed something here.
        stale: How many were older than what was known, or said it again.
    """

    stored: int
    stale: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KnownPosts:
    """
    What is known of a resident.

    Attributes:
        posts: The posts.
        asked_ago: How long ago the index was asked for all of them; None for never.
    """

    posts: tuple[Engagement, ...]
    asked_ago: timedelta | None


class Engagements:
    """
    The posts of others.

    Each method is one transaction, and may raise `DatabaseUnavailable`.

    Args:
        database: Where they are.
        seal: Opens and seals them.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def apply(self, changes: Sequence[EngagementChange]) -> AppliedChanges:
        """
        Store changed posts, of which no two have the same key.

        The index's own times decide which of two changes is newer. Without them the
        change that arrives last counts, but a post keeps the later of two times: it is
        then rather asked about once too often than forgotten too early.
        """
        by_key = {_key(each.engagement): each for each in changes}
        stored = 0
        with self._database.writing() as connection:
            lock_until_commit(connection, _LOCK)
            known = self._known(connection, by_key)
            fresh = []
            for key, change in by_key.items():
                row = known.get(key)
                if row is None:
                    fresh.append(self._values(key, change))
                elif (values := self._newer(row, change)) is not None:
                    connection.execute(
                        update(engagements)
                        .where(engagements.c.id == row.id)
                        .values(**values, received_at=database_clock())
                    )
                    stored += 1
            self._insert(connection, fresh)
        stored += len(fresh)
        return AppliedChanges(stored=stored, stale=len(changes) - stored)

    def replace(
        self,
        resident: PersonalIdentityNumber,
        posts: Iterable[Engagement],
        *,
        asked_ago: timedelta,
    ) -> None:
        """
        Store all posts of a resident, as the index has just given them.

        Args:
            resident: The resident.
            posts: All of the index's posts about them.
            asked_ago: How long ago the index was asked. What a notification has brought
                since is newer than the answer, and stays.
        """
        by_key = {_key(each): each for each in posts}
        asked_at = database_clock() - asked_ago.total_seconds()
        hashes = self._seal.lookups(NUMBER, resident.reveal())
        with self._database.writing() as connection:
            lock_until_commit(connection, _LOCK)
            connection.execute(
                delete(engagements).where(
                    engagements.c.subject_hmac.in_(hashes),
                    engagements.c.received_at < asked_at,
                )
            )
            newer = self._known(connection, by_key)
            self._insert(
                connection,
                [
                    self._values(key, EngagementChange(engagement=post))
                    for key, post in by_key.items()
                    if key not in newer
                ],
            )
            connection.execute(
                delete(engagement_looks).where(
                    engagement_looks.c.subject_hmac.in_(hashes)
                )
            )
            connection.execute(
                insert(engagement_looks).values(
                    subject_hmac=hashes[0], looked_at=asked_at
                )
            )

    def of(self, resident: PersonalIdentityNumber) -> KnownPosts:
        """
        Return what is known of a resident.

        Raises:
            SealBroken: None of our keys opens a post.
        """
        hashes = self._seal.lookups(NUMBER, resident.reveal())
        with self._database.reading() as connection:
            sealed = connection.execute(
                select(engagements.c.post_sealed)
                .where(
                    engagements.c.subject_hmac.in_(hashes),
                    engagements.c.is_deleted.is_(False),
                )
                .order_by(engagements.c.received_at, engagements.c.id)
            ).scalars()
            posts = tuple(
                Engagement.from_mapping(self._seal.unseal(each)) for each in sealed
            )
            asked_ago: float | None = connection.execute(
                select(database_clock() - func.max(engagement_looks.c.looked_at)).where(
                    engagement_looks.c.subject_hmac.in_(hashes)
                )
            ).scalar_one()
        return KnownPosts(
            posts=posts,
            asked_ago=None if asked_ago is None else timedelta(seconds=asked_ago),
        )

    def purge(self, *, before: datetime) -> int:
        """
        Delete at most 500 posts that arrived, and began, before then; return how many.

        It also deletes when residents were asked about before then.
        """
        at = epoch_seconds(before)
        with self._database.writing() as connection:
            connection.execute(
                delete(engagement_looks).where(engagement_looks.c.looked_at < at)
            )
            old = (
                select(engagements.c.id)
                .where(
                    engagements.c.received_at < at,
                    or_(
                        engagements.c.starts_at.is_(None),
                        engagements.c.starts_at < at,
                        engagements.c.is_deleted,
                    ),
                )
                .limit(_BATCH)
            )
            return connection.execute(
                delete(engagements).where(engagements.c.id.in_(old))
            ).rowcount

    def _known(
        self, connection: Connection, keys: Iterable[str]
    ) -> dict[str, Row[Any]]:
        """Return the rows of posts that are known, by key."""
        key_of = {
            hashed: key
            for key in keys
            for hashed in self._seal.lookups(ENGAGEMENT, key)
        }
        hashes = list(key_of)
        known: dict[str, Row[Any]] = {}
        for first in range(0, len(hashes), _BATCH):
            rows = connection.execute(
                select(engagements).where(
                    engagements.c.key_hmac.in_(hashes[first : first + _BATCH])
                )
            )
            known |= {key_of[row.key_hmac]: row for row in rows}
        return known

    def _values(self, key: str, change: EngagementChange) -> Values:
        post = change.engagement
        number = post.resident.reveal()
        return {
            "id": str(uuid4()),
            "key_hmac": self._seal.lookup(ENGAGEMENT, key),
            "subject_hmac": self._seal.lookup(NUMBER, number),
            "post_sealed": self._sealed(key, post),
            "is_deleted": change.is_deleted,
            "starts_at": _seconds(post.starts_at),
            "updated_at": _seconds(change.updated_at),
        }

    def _newer(self, row: Row[Any], change: EngagementChange) -> Values | None:
        """Return the columns to change; None where the change is no news."""
        updated_at = _seconds(change.updated_at)
        is_dated = updated_at is not None and row.updated_at is not None
        if is_dated and updated_at < row.updated_at:
            return None
        starts_at = _seconds(change.engagement.starts_at)
        if not is_dated and None not in (starts_at, row.starts_at):
            starts_at = max(starts_at or 0, row.starts_at)
        if change.is_deleted:
            starts_at = row.starts_at
        if (change.is_deleted, starts_at) == (row.is_deleted, row.starts_at):
            return None
        values: Values = {"is_deleted": change.is_deleted, "starts_at": starts_at}
        if updated_at is not None:
            values["updated_at"] = updated_at
        if starts_at == _seconds(change.engagement.starts_at):
            values["post_sealed"] = self._sealed(
                _key(change.engagement), change.engagement
            )
        return values

    def _sealed(self, key: str, post: Engagement) -> str:
        return self._seal.seal({**post.as_mapping(), ENGAGEMENT: key})

    def _insert(self, connection: Connection, fresh: list[Values]) -> None:
        if fresh:
            names: Values = {name: bindparam(name) for name in fresh[0]}
            connection.execute(
                insert(engagements).values(**names, received_at=database_clock()),
                fresh,
            )


def _key(post: Engagement) -> str:
    return json.dumps(post.key)


def _seconds(instant: datetime | None) -> int | None:
    return None if instant is None else epoch_seconds(instant)
