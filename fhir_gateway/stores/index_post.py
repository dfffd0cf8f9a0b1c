"""
The post that the engagement index must have of a booking, and those that it may have.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row

from fhir_gateway.model.engagement import Engagement, EngagementChange, IndexedSource
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.stores.journal.records import BookingState
from fhir_gateway.stores.journal.rows import record_from_row
from fhir_gateway.stores.sealing import Seal

__all__ = [
    "QueuedPosts",
    "latest_start",
    "posts_from_row",
    "sealed_posts",
    "wanted_post",
]

_POSTS: Final = "posts"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class QueuedPosts:
    """
    What to send of one booking.

    Attributes:
        booking: Our own id of it.
        version: Its version, from which this follows.
        changes: Deletions, then the post that is right now.
        wanted: That post; None where the index must have none.
        attempts: How many times it was taken, with this one.
        refusals: How many times the index refused it.
    """

    booking: str
    version: int
    changes: tuple[EngagementChange, ...]
    wanted: Engagement | None
    attempts: int
    refusals: int


def wanted_post(
    row: Row[Any],
    seal: Seal,
    indexed: Mapping[SourceName, IndexedSource],
    now: datetime,
) -> Engagement | None:
    """
    Return the post that the index must have of a booking's row; None for none.

    Only what is to come, and can be fetched by its id, may be indexed (crm:scheduling
    1.1.5).
    """
    if row.state != BookingState.BOOKED.value or row.wiped_at is not None:
        return None
    record = record_from_row(row, seal)
    if record.booking_id is None or record.timeslot.start <= now:
        return None
    source = indexed[record.source]
    return Engagement(
        resident=record.number,
        unit=record.timeslot.schedule.unit,
        booking_id=record.booking_id,
        source_system=source.source_system,
        data_controller=source.data_controller,
        starts_at=record.timeslot.start,
    )


def posts_from_row(row: Row[Any], seal: Seal) -> dict[tuple[str, ...], Engagement]:
    """Return the posts that the index may have of a booking, by key."""
    mappings: list[dict[str, str]] = json.loads(seal.unseal(row.posts_sealed)[_POSTS])
    posts = map(Engagement.from_mapping, mappings)
    return {each.key: each for each in posts}


def sealed_posts(posts: Iterable[Engagement], seal: Seal) -> str:
    """Return posts, sealed."""
    return seal.seal({_POSTS: json.dumps([each.as_mapping() for each in posts])})


def latest_start(posts: Iterable[Engagement]) -> int | None:
    """Return when the latest of the visits begins, in seconds since 1970."""
    starts = [epoch_seconds(each.starts_at) for each in posts if each.starts_at]
    return max(starts, default=None)
