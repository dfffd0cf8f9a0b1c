"""
The logs of losses: an event when the losses change, not at each answer.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.loss import Loss
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.stores.redis_client import StoreUnavailable
from fhir_gateway.stores.sightings import Sightings

__all__ = ["LossLog", "ResidentLossLog"]

_log = structlog.get_logger()

# A reason is logged again after this long; so many reasons of a source are remembered.
_LOGGED_FOR: Final = timedelta(hours=1)
_MOST_REASONS: Final = 20

_LossKey = tuple[Interaction, HsaId, TimeTypeId | None]


class LossLog:
    """
    Logs the losses of one source.

    Args:
        source: The source.
    """

    def __init__(self, source: SourceName) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._reasons: dict[_LossKey, frozenset[str]] = {}

    def note(
        self,
        interaction: Interaction,
        unit: HsaId,
        losses: Collection[Loss],
        *,
        time_type_id: TimeTypeId | None = None,
    ) -> bool:
        """
        Record the losses of the last answer to a question; log them when they are news.

        Another number of items for the same reason is no news: lists always change.

        Returns:
            Whether they were news.
        """
        key = interaction, unit, time_type_id
        reasons = frozenset(each.reason for each in losses)
        with self._lock:
            before = self._reasons.get(key, frozenset())
            if reasons == before:
                return False
            self._reasons[key] = reasons
            if not reasons:
                del self._reasons[key]
        asked = {
            "source": self._source,
            "interaction": interaction.name,
            "unit": unit,
            "time_type": time_type_id,
        }
        if reasons:
            _log.warning(
                "answer read in part",
                **asked,
                reasons=sorted(reasons),
                items=sum(each.count for each in losses),
            )
        else:
            _log.info("answer read whole again", **asked)
        return True


class ResidentLossLog:
    """
    Logs and counts the losses of answers about residents; it names no resident.

    Each resident's answers have their own losses, so a whole answer does not end any. A
    reason is logged when it is seen first, and again after an hour if it is seen then.

    Args:
        sightings: Where losses are counted for operators; None counts them nowhere.
        clock: Returns the current time.
    """

    def __init__(
        self, sightings: Sightings | None = None, *, clock: Clock = now
    ) -> None:
        self._sightings = sightings
        self._clock = clock
        self._lock = threading.Lock()
        self._logged: dict[SourceName, dict[str, datetime]] = {}

    def note(
        self, source: SourceName, interaction: Interaction, rejected: Iterable[str]
    ) -> None:
        """
        Count and log why items, or parts of them, were left out of an answer.

        Args:
            source: The source that answered.
            interaction: The contract.
            rejected: One reason for each.
        """
        counted = Counter(rejected)
        if not counted:
            return
        self.count(source, interaction, counted)
        news = self._choose_news(source, [each for each, _ in counted.most_common()])
        if news:
            _log.warning(
                "resident's answer read in part",
                source=source,
                interaction=interaction.name,
                reasons=sorted(news),
                items=sum(counted[each] for each in news),
            )

    def note_strange(
        self,
        source: SourceName,
        interaction: Interaction,
        reason: str,
        count: int,
        *,
        is_elsewhere: bool,
    ) -> None:
        """
        Count bookings that an answer must not have, and log them as an error.

        Args:
            source: The source that answered.
            interaction: The contract.
            reason: Why they are left out.
            count: How many of them; none is no event.
            is_elsewhere: They are at another source's unit, not another person's.
        """
        if not count:
            return
        self.count(source, interaction, {reason: count})
        if not self._choose_news(source, [reason]):
            return
        if is_elsewhere:
            _log.error("bookings at units of others", source=source, bookings=count)
        else:
            _log.error("another person's bookings", source=source, bookings=count)

    def _choose_news(self, source: SourceName, reasons: Sequence[str]) -> list[str]:
        """Return the reasons that are to be logged now, and remember that they are."""
        moment = self._clock()
        with self._lock:
            logged = {
                reason: at
                for reason, at in self._logged.get(source, {}).items()
                if moment - at < _LOGGED_FOR
            }
            news = [each for each in reasons if each not in logged]
            news = news[: _MOST_REASONS - len(logged)]
            self._logged[source] = logged | dict.fromkeys(news, moment)
        return news

    def count(
        self, source: SourceName, interaction: Interaction, reasons: Mapping[str, int]
    ) -> None:
        """Count for operators what was left out, and log nothing."""
        lost = {reason: count for reason, count in reasons.items() if count}
        if self._sightings is None or not lost:
            return
        try:
            self._sightings.add_losses(source, interaction, lost)
        except StoreUnavailable as error:
            # No answer to a client depends on the store.
            _log.info("losses not counted", source=source, reason=str(error))
