"""
Correcting the store by what a booking has just heard from a source.

A time that was found gone, or free again, shows so in every process's searches at once,
though the refresh asks the source only later.
"""

from datetime import datetime

import structlog

from fhir_gateway.model.ids import SourceName, TimeTypeId
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.stores.block_correction import Correction
from fhir_gateway.stores.slot_block import BlockKey
from fhir_gateway.stores.slot_store import SlotStore, StoreUnavailable

__all__ = ["SlotCorrection"]

_log = structlog.get_logger()


class SlotCorrection:
    """
    Corrects single times.

    Args:
        store: Where blocks are.
    """

    def __init__(self, store: SlotStore) -> None:
        self._store = store

    def tell(
        self,
        source: SourceName,
        token: TimeslotToken,
        time_type_id: TimeTypeId,
        *,
        is_listed: bool,
        asked_at: datetime,
    ) -> None:
        """Tell whether a source listed a time when it was asked."""
        key = BlockKey(source=source, unit=token.unit, time_type_id=time_type_id)
        correction = Correction(token=token, is_listed=is_listed, asked_at=asked_at)
        try:
            self._store.correct(key, correction)
        except StoreUnavailable as error:
            # A booking does not depend on the store; the refresh will see it too.
            _log.info("slot not corrected", source=source, reason=str(error))
