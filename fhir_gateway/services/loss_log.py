"""
The log of losses: an event when what answers lose changes, not at each answer.
"""

import threading
from collections.abc import Collection

import structlog

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.loss import Loss

__all__ = ["LossLog"]

_log = structlog.get_logger()

_Question = tuple[Interaction, HsaId, TimeTypeId | None]


class LossLog:
    """
    Logs the losses of one source.

    Args:
        source: Whose answers.
    """

    def __init__(self, source: SourceName) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._reasons: dict[_Question, frozenset[str]] = {}

    def note(
        self,
        interaction: Interaction,
        unit: HsaId,
        losses: Collection[Loss],
        *,
        time_type_id: TimeTypeId | None = None,
    ) -> bool:
        """
        Note what the last answer to a question has lost; log it when that is news.

        How many items a reason holds for is no news: lists change all the time.

        Returns:
            Whether it was news.
        """
        question = interaction, unit, time_type_id
        reasons = frozenset(each.reason for each in losses)
        with self._lock:
            before = self._reasons.get(question, frozenset())
            if reasons == before:
                return False
            self._reasons[question] = reasons
            if not reasons:
                del self._reasons[question]
        asked = {
            "source": self._source,
            "interaction": interaction.value,
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
