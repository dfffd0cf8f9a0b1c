"""
Rechecks: an answer to one resident lets the refresh ask for the time's block again.

A region may tailor its lists to the resident. So the answer to a resident's question
changes nothing for others: it is only a hint that the refresh should soon ask for that
block as the agent.
"""

import structlog

from fhir_gateway.model.ids import SourceName, TimeTypeId
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.stores.redis_client import StoreUnavailable
from fhir_gateway.stores.refresh_hint import RefreshHints

__all__ = ["Recheck"]

_log = structlog.get_logger()


class Recheck:
    """
    Sends hints for blocks that the refresh should soon ask for again.

    The refresh limits how often it follows them; see `RefreshQueue.recheck`.

    Args:
        rechecks: The hints that the refresh reads.
    """

    def __init__(self, rechecks: RefreshHints) -> None:
        self._rechecks = rechecks

    def ask(
        self, source: SourceName, token: TimeslotToken, time_type_id: TimeTypeId
    ) -> None:
        """Add a hint that the block of a time may be wrong by now."""
        try:
            self._rechecks.add(source, [(token.unit, time_type_id)])
        except StoreUnavailable as error:
            # A booking does not depend on the store; the refresh asks in its own time.
            _log.info("recheck not asked for", source=source, reason=str(error))
