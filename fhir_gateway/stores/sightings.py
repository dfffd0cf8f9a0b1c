"""
The outcomes of the web processes' calls to sources, in Redis, for operators.

`source_status` has the outcomes of a worker's calls. Only web processes ask about
residents, and only they ask live sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import orjson

from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.stores.redis_client import RedisClient

__all__ = ["LiveSighting", "RedisSightings", "ResidentLoss", "Sightings"]

# Losses are counted by day, and shown for this day and the one before.
_KEPT_FOR: Final = timedelta(days=2)
_MOST_REASONS: Final = 100
_OTHERS: Final = "other reasons"
_SEPARATOR: Final = "|"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidentLoss:
    """
    What was left out of answers about residents; it names no resident.

    Attributes:
        interaction: The contract.
        reason: The element and what is wrong with it, never its value.
        count: How many items or parts of items, since the day before began (UTC).
    """

    interaction: Interaction
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSighting:
    """
    The outcomes of the last calls to a live source.

    Attributes:
        seen_at: When the calls were made.
        asked: How many calls there were.
        unanswered: How many of them have no answer.
        failing_since: Since when nothing at all was answered; None after an answer.
        last_error: What went wrong last, without anything personal.
    """

    seen_at: datetime
    asked: int
    unanswered: int
    failing_since: datetime | None
    last_error: str | None


class Sightings(Protocol):
    """
    The outcomes that web processes have recorded, for the commands that show them.

    Every method raises `StoreUnavailable` when the store cannot be asked.
    """

    def add_losses(
        self, source: SourceName, interaction: Interaction, reasons: Mapping[str, int]
    ) -> None:
        """Count what was left out of an answer about a resident."""
        ...

    def put_live(self, source: SourceName, sighting: LiveSighting) -> None:
        """Replace the outcomes of the last calls to a live source."""
        ...


class RedisSightings:
    """
    The sightings in Redis or Redis Cluster.

    Args:
        client: The connection.
        clock: Returns the current time; its date counts.
    """

    def __init__(self, client: RedisClient, *, clock: Clock = now) -> None:
        self._redis = client
        self._clock = clock

    def add_losses(
        self, source: SourceName, interaction: Interaction, reasons: Mapping[str, int]
    ) -> None:
        """Count what was left out; after a hundred reasons a day, as other reasons."""
        name = _losses_name(source, self._clock())
        with self._redis.asking() as redis:
            is_full = redis.hlen(name) >= _MOST_REASONS
            for reason, count in reasons.items():
                counted_as = _OTHERS if is_full else reason
                redis.hincrby(
                    name, f"{interaction.name}{_SEPARATOR}{counted_as}", count
                )
            redis.expire(name, _KEPT_FOR)

    def losses(self, source: SourceName) -> tuple[ResidentLoss, ...]:
        """Return what was left out today and yesterday, the most frequent first."""
        moment = self._clock()
        counted: dict[tuple[Interaction, str], int] = {}
        with self._redis.asking() as redis:
            for day in (moment, moment - timedelta(days=1)):
                for field, count in redis.hgetall(_losses_name(source, day)).items():
                    interaction, _, reason = field.decode().partition(_SEPARATOR)
                    key = Interaction(interaction), reason
                    counted[key] = counted.get(key, 0) + int(count)
        found = [
            ResidentLoss(interaction=interaction, reason=reason, count=count)
            for (interaction, reason), count in counted.items()
        ]
        return tuple(
            sorted(
                found,
                key=lambda each: (-each.count, each.interaction.name, each.reason),
            )
        )

    def put_live(self, source: SourceName, sighting: LiveSighting) -> None:
        """Replace the outcomes of the last calls to a live source."""
        packed = orjson.dumps(
            [
                sighting.seen_at.timestamp(),
                sighting.asked,
                sighting.unanswered,
                sighting.failing_since and sighting.failing_since.timestamp(),
                sighting.last_error,
            ]
        )
        with self._redis.asking() as redis:
            redis.set(_live_name(source), packed, ex=_KEPT_FOR)

    def live(self, source: SourceName) -> LiveSighting | None:
        """Return the outcomes of the last calls to a live source, if there were any."""
        with self._redis.asking() as redis:
            packed = redis.get(_live_name(source))
        if packed is None:
            return None
        fields: list[Any] = orjson.loads(packed)
        seen_at, asked, unanswered, failing_since, last_error = fields
        return LiveSighting(
            seen_at=datetime.fromtimestamp(seen_at, UTC),
            asked=asked,
            unanswered=unanswered,
            failing_since=(
                None
                if failing_since is None
                else datetime.fromtimestamp(failing_since, UTC)
            ),
            last_error=last_error,
        )


def _losses_name(source: SourceName, moment: datetime) -> str:
    return f"losses:{source}:{moment.astimezone(UTC):%Y%m%d}"


def _live_name(source: SourceName) -> str:
    return f"live:{source}"
