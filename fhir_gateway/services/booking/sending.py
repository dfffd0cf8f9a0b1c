"""
Sending: commits a claimed write as sent, sends it once, and settles it by its answer.

    OK, INFO                     done, after a check that it is the requested booking
    ERROR                        refused, with the region's text, after a check that
                                 the region did not do it
    no connection was made       not done
    anything else                unknown: `settlement.py` finds the outcome; at once
                                 if an answer came, since then nothing is under way

No write is sent twice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

import structlog

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model.booking import WriteResult
from fhir_gateway.model.errors import (
    GatewayError,
    Incorrect,
    Refused,
    Unavailable,
    Unsupported,
    WriteUnconfirmed,
)
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.scheduling import CancelBooking, MakeBooking, UpdateBooking
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.services.booking.read_back import (
    ReadBack,
)
from fhir_gateway.services.booking.recording import (
    Recording,
    WriteOutcome,
    log_not_read,
)
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.database import DatabaseUnavailable
from fhir_gateway.stores.journal import (
    BookingRecord,
    Journal,
    LostIntent,
    WriteIntent,
    WriteState,
)

__all__ = ["Sending", "report_failure_as_unknown"]

_log = structlog.get_logger()

# Longer than any write can take: until then no other process handles a sent intent.
_LEASE: Final = timedelta(seconds=100)

# A process that stood still for longer between the commit and the first byte must not
# send: others may have found that nothing arrived. Within this limit, the two tries of
# the platform end before others look.
_SENDS_WITHIN: Final = timedelta(seconds=15)

# Settles a write by the result that the region returned.
_Settle: TypeAlias = Callable[[WriteIntent, WriteResult], WriteOutcome]

_NOT_DONE: Final = frozenset({WriteState.NOT_DONE, WriteState.LEFT_NO_TRACE})

_UNKNOWN: Final = (
    "The request was sent to the region, and the server cannot read its outcome now:"
    " read it again in a minute."
)


class Sending:
    """
    Sends writes.

    Args:
        access: The sources.
        journal: Where write intents are stored.
        read_back: Reads bookings at their sources.
        settlement: Corrects writes that were settled too early.
        clock: Returns the time.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        read_back: ReadBack,
        settlement: Settlement,
        *,
        clock: Clock = now,
    ) -> None:
        self._access = access
        self._journal = journal
        self._recording = Recording(access, journal, read_back, settlement)
        self._settlement = settlement
        self._clock = clock

    def make(
        self, source: Source, intent: WriteIntent, booking: MakeBooking
    ) -> WriteOutcome:
        """
        Send a MakeBooking.

        Args:
            source: The source to send it to.
            intent: The claim of the time.
            booking: The request to send.

        Raises:
            Refused: The region said no.
            Unavailable: It could not be sent.
            GatewayError: It cannot be said to that source; nothing was sent.
        """
        return self._commit_and_send(
            source,
            intent,
            lambda adapter, timeout: adapter.make_booking(booking, timeout=timeout),
            lambda current, result: self._recording.record_made(
                source, current, booking.timeslot, result
            ),
        )

    def move(
        self, source: Source, intent: WriteIntent, update: UpdateBooking
    ) -> WriteOutcome:
        """
        Send an UpdateBooking; the old time stands until the new one is seen.

        Raises:
            GatewayError: As of `make`.
        """
        return self._commit_and_send(
            source,
            intent,
            lambda adapter, timeout: adapter.update_booking(update, timeout=timeout),
            lambda current, result: self._recording.record_moved(
                current, update.timeslot, result
            ),
        )

    def cancel(
        self, source: Source, intent: WriteIntent, cancellation: CancelBooking
    ) -> WriteOutcome:
        """
        Send a CancelBooking.

        Raises:
            GatewayError: As of `make`.
        """
        return self._commit_and_send(
            source,
            intent,
            lambda adapter, timeout: adapter.cancel_booking(
                cancellation, timeout=timeout
            ),
            lambda current, result: self._recording.record_cancelled(
                source, current, result
            ),
        )

    def _commit_and_send(
        self,
        source: Source,
        intent: WriteIntent,
        write: Callable[[SchedulingAdapter, float], WriteResult],
        settle: _Settle,
    ) -> WriteOutcome:
        adapter = self._access.adapter(source.name)
        begun_at = self._clock()
        intent = self._journal.intents.mark_sent(intent, lease=_LEASE)
        with report_failure_as_unknown():
            return self._send_and_record(
                source, intent, begun_at, partial(write, adapter), settle
            )

    def _send_and_record(
        self,
        source: Source,
        intent: WriteIntent,
        begun_at: datetime,
        write: Callable[[float], WriteResult],
        settle: _Settle,
    ) -> WriteOutcome:
        if self._clock() - begun_at > _SENDS_WITHIN:
            return self._record_not_done(
                intent,
                Unavailable(
                    "This server was stopped for a moment before it could ask the"
                    " source; nothing was sent. Send the request again.",
                    source=source.name,
                ),
            )
        try:
            result = write(source.write_timeout.total_seconds())
        except (Unavailable, Incorrect, Unsupported) as error:
            return self._record_not_done(intent, error)
        except Refused as error:
            return self._record_no(intent, error, settle)
        except WriteUnconfirmed as error:
            return self._record_unknown(intent, error)
        if result.is_done:
            return self._record_yes(intent, result, settle)
        text = result.text or Refused.UNEXPLAINED
        refusal = Refused(text, source=source.name)
        return self._record_no(intent, refusal, settle, result.booking_id)

    def _record_yes(
        self,
        intent: WriteIntent,
        result: WriteResult,
        settle: _Settle,
    ) -> WriteOutcome:
        """Settle a yes, also if the write was settled differently before it came."""
        try:
            return settle(intent, result)
        except LostIntent:
            _log.info("late confirmation", booking=intent.booking)
        sent: list[WriteOutcome] = []

        def mend(reopened: WriteIntent) -> BookingRecord:
            sent.append(settle(reopened, result))
            return sent[0][0]

        self._settlement.correction.reopen_as_done(intent, mend)
        return sent[0] if sent else (self._journal.lookups.get(intent.booking), None)

    def _record_no(
        self,
        intent: WriteIntent,
        refusal: Refused,
        settle: _Settle,
        booking_id: BookingId | None = None,
    ) -> WriteOutcome:
        """
        Settle a no, unless the region's list shows that it did the write.

        The platform may deliver a write twice and return the second answer: then the
        first delivery has taken the time.

        Raises:
            Refused: It was not done.
        """
        try:
            done = self._settlement.find_done(intent, booking_id)
        except GatewayError as error:
            return self._record_unknown(intent, error)
        if done is None:
            return self._record_not_done(intent, refusal)
        _log.warning(
            "refused write was carried out",
            source=refusal.source,
            booking=intent.booking,
        )
        return self._record_yes(intent, done, settle)

    def _record_not_done(
        self, intent: WriteIntent, error: GatewayError
    ) -> WriteOutcome:
        """
        Settle a write that was not done, and raise the given error.

        Returns:
            The booking, if another process has settled the write as done meanwhile.

        Raises:
            GatewayError: The given error.
        """
        try:
            if isinstance(error, Refused):
                self._journal.settlements.settle_refused(intent, message=error.message)
            else:
                self._journal.settlements.settle_not_done(intent)
        except LostIntent:
            found = self._journal.lookups.get_intent(intent.id)
            if found.state not in _NOT_DONE:
                return self._journal.lookups.get(intent.booking), None
        raise error

    def _record_unknown(self, intent: WriteIntent, error: GatewayError) -> WriteOutcome:
        """
        Settle a write as unknown, and try to find its outcome.

        If no answer came, the platform may still try again, so a look now would prove
        nothing: reconciliation looks later.
        """
        _log.warning(
            "outcome unknown",
            source=error.source,
            booking=intent.booking,
            error=str(error),
        )
        try:
            record = self._journal.settlements.settle_unknown(intent)
        except LostIntent:
            return self._settlement.correction.reopen_as_unknown(intent), None
        if isinstance(error, WriteUnconfirmed) and error.is_answered:
            try:
                return self._settlement.settle(intent), None
            except GatewayError as look:
                log_not_read(record, look)
        return record, None


@contextmanager
def report_failure_as_unknown() -> Iterator[None]:
    """
    Report an unknown outcome if this server fails after the write was sent.

    Such failures are a lost journal and a fault of this program.

    Raises:
        WriteUnconfirmed: This server failed; a report of failure could be wrong.
        GatewayError: Any other error of the block.
    """
    try:
        yield
    except DatabaseUnavailable as error:
        raise WriteUnconfirmed(_UNKNOWN) from error
    except GatewayError:
        raise
    except Exception as error:
        # An answer 500 would read as "not done", and the region may have done it.
        _log.error("unforeseen failure", **fault_place(error))
        raise WriteUnconfirmed(_UNKNOWN) from error
