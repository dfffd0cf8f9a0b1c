"""
Rechecks: what one resident heard of a time lets the refresh ask for its block again.

A region may tailor what it lists to the resident that asks. So an answer to a
resident's question changes nothing of what everybody sees: it only says that the
agent's question about that block is worth asking soon.
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
    Says which blocks the refresh is to ask for again soon.

    The refresh bounds how often it heeds that; see `RefreshQueue.recheck`.

    Args:
        rechecks: Where the refresh reads it.
    """

    def __init__(self, rechecks: RefreshHints) -> None:
        self._rechecks = rechecks

    def ask(
        self, source: SourceName, token: TimeslotToken, time_type_id: TimeTypeId
    ) -> None:
        """Say that the block of a time may be wrong by now."""
        try:
            self._rechecks.add(source, [(token.unit, time_type_id)])
        except StoreUnavailable as error:
            # A booking does not depend on the store; the refresh asks in its own time.
            _log.info("recheck not asked for", source=source, reason=str(error))
