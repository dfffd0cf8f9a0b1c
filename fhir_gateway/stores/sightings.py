"""
How web processes' own questions to sources went, in Redis, for operators.

A worker's questions have the `source_status`. Only web processes ask about residents,
and ask live sources.
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
    How the last questions of a live source went.

    Attributes:
        seen_at: When they were asked.
        asked: How many they were.
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
    What web processes have seen of sources, shared with the commands that show it.

    Every method raises `StoreUnavailable` when the store cannot be asked.
    """

    def add_losses(
        self, source: SourceName, interaction: Interaction, reasons: Mapping[str, int]
    ) -> None:
        """Count what was left out of an answer about a resident."""
        ...

    def put_live(self, source: SourceName, sighting: LiveSighting) -> None:
        """Replace how a live source's last questions went."""
        ...


class RedisSightings:
    """
    The sightings in Redis or Redis Cluster.

    Args:
        client: The connection.
        clock: Tells the day.
    """

    def __init__(self, client: RedisClient, *, clock: Clock = now) -> None:
        self._redis = client
        self._clock = clock

    def add_losses(
        self, source: SourceName, interaction: Interaction, reasons: Mapping[str, int]
    ) -> None:
        """Count what was left out; after a hundred reasons a day, without its own."""
        name = _losses_name(source, self._clock())
        with self._redis.asking() as redis:
            is_full = redis.hlen(name) >= _MOST_REASONS
            for reason, count in reasons.items():
                told = _OTHERS if is_full else reason
                redis.hincrby(name, f"{interaction.name}{_SEPARATOR}{told}", count)
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
        """Replace how a live source's last questions went."""
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
        """Return how a live source's last questions went, if any were asked."""
        with self._redis.asking() as redis:
            packed = redis.get(_live_name(source))
        if packed is None:
            return None
        told: list[Any] = orjson.loads(packed)
        seen_at, asked, unanswered, failing_since, last_error = told
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
