"""
Sending: a claimed write is committed as sent, sent once, and settled by its answer.

    OK, INFO                     done, once it is seen to be what was asked for
    ERROR                        refused, in the region's words, once it is seen that
                                 it was not done all the same
    no connection was made       not done
    anything else                unknown: `settlement.py` finds out, at once where an
                                 answer has come, since then nothing is under way

Nothing is ever sent twice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog

from fhir_gateway.model.booking import (
    WriteResult,
)
from fhir_gateway.model.errors import (
    GatewayError,
    Incorrect,
    Refused,
    Unavailable,
    Unsupported,
    WriteUnconfirmed,
)
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.model.scheduling import CancelBooking, MakeBooking, UpdateBooking
from fhir_gateway.model.source import Source
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.services.booking.read_back import (
    ReadBack,
)
from fhir_gateway.services.booking.recording import Recording, Sent, log_not_read
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

__all__ = ["Sending", "unknown_without_journal"]

_log = structlog.get_logger()

# Longer than any write can take: until then nobody else looks after a sent intent.
_LEASE: Final = timedelta(seconds=100)

# A process that stood still between the commit and the first byte must not send: by
# then somebody may have seen that nothing arrived. From here the platform's two tries
# still end before that.
_SENDS_WITHIN: Final = timedelta(seconds=15)

_NOT_DONE: Final = frozenset({WriteState.NOT_DONE, WriteState.LEFT_NO_TRACE})

_UNKNOWN: Final = (
    "The request was passed on, and the server cannot look up just now what became of"
    " it: ask again in a minute."
)


class Sending:
    """
    Sends writes.

    Args:
        access: The sources.
        journal: Where intents are kept.
        read_back: Sees what a source has done.
        settlement: Mends what was settled too early.
        clock: Tells the time.
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

    def make(self, source: Source, intent: WriteIntent, booking: MakeBooking) -> Sent:
        """
        Send a MakeBooking.

        Args:
            source: To whom.
            intent: What claimed it.
            booking: What is sent.

        Raises:
            Refused: The region said no.
            Unavailable: It could not be sent.
            GatewayError: It cannot be said to that source; nothing was sent.
        """
        adapter = self._access.adapter(source.name)
        return self._commit_and_send(
            source,
            intent,
            lambda timeout: adapter.make_booking(booking, timeout=timeout),
            lambda current, result: self._recording.record_made(
                source, current, booking.timeslot, result
            ),
        )

    def move(self, source: Source, intent: WriteIntent, update: UpdateBooking) -> Sent:
        """
        Send an UpdateBooking; the old time stands until the new one is seen.

        Raises:
            Refused: The region said no.
            Unavailable: It could not be sent.
            GatewayError: It cannot be said to that source; nothing was sent.
        """
        adapter = self._access.adapter(source.name)
        return self._commit_and_send(
            source,
            intent,
            lambda timeout: adapter.update_booking(update, timeout=timeout),
            lambda current, result: self._recording.record_moved(
                current, update.timeslot, result
            ),
        )

    def cancel(
        self, source: Source, intent: WriteIntent, cancellation: CancelBooking
    ) -> Sent:
        """
        Send a CancelBooking.

        Raises:
            Refused: The region said no.
            Unavailable: It could not be sent.
            GatewayError: It cannot be said to that source; nothing was sent.
        """
        adapter = self._access.adapter(source.name)
        return self._commit_and_send(
            source,
            intent,
            lambda timeout: adapter.cancel_booking(cancellation, timeout=timeout),
            self._recording.record_cancelled,
        )

    def _commit_and_send(
        self,
        source: Source,
        intent: WriteIntent,
        write: Callable[[float], WriteResult],
        settle: Callable[[WriteIntent, WriteResult], Sent],
    ) -> Sent:
        begun_at = self._clock()
        intent = self._journal.intents.mark_sent(intent, lease=_LEASE)
        with unknown_without_journal():
            return self._send_and_record(source, intent, begun_at, write, settle)

    def _send_and_record(
        self,
        source: Source,
        intent: WriteIntent,
        begun_at: datetime,
        write: Callable[[float], WriteResult],
        settle: Callable[[WriteIntent, WriteResult], Sent],
    ) -> Sent:
        if self._clock() - begun_at > _SENDS_WITHIN:
            return self._record_not_done(
                intent,
                Unavailable(
                    "The server stood still before it could ask the source; nothing was"
                    " sent.",
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
        text = result.text or "The region refused the request."
        return self._record_no(intent, Refused(text, source=source.name), settle)

    def _record_yes(
        self,
        intent: WriteIntent,
        result: WriteResult,
        settle: Callable[[WriteIntent, WriteResult], Sent],
    ) -> Sent:
        """Settle a yes, also one that came after the write was settled without it."""
        try:
            return settle(intent, result)
        except LostIntent:
            _log.info("yes came late", booking=intent.booking)
        sent: list[Sent] = []

        def mend(reopened: WriteIntent) -> BookingRecord:
            sent.append(settle(reopened, result))
            return sent[0][0]

        self._settlement.correction.contradict(intent, mend)
        return sent[0] if sent else (self._journal.lookups.get(intent.booking), None)

    def _record_no(
        self,
        intent: WriteIntent,
        refusal: Refused,
        settle: Callable[[WriteIntent, WriteResult], Sent],
    ) -> Sent:
        """
        Settle a write that the region said no to, unless it has done it all the same.

        The platform may deliver a write twice and pass on the answer to the second: the
        time is taken, by the first.

        Raises:
            Refused: It was not done.
        """
        try:
            done = self._settlement.find_done(intent)
        except GatewayError as error:
            return self._record_unknown(intent, error)
        if done is None:
            return self._record_not_done(intent, refusal)
        _log.warning("done and refused", source=refusal.source, booking=intent.booking)
        return self._record_yes(intent, done, settle)

    def _record_not_done(self, intent: WriteIntent, error: GatewayError) -> Sent:
        """
        Settle a write that was not done, and say why.

        Returns:
            How the booking stands, where somebody else has found it done meanwhile.

        Raises:
            GatewayError: The given one.
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

    def _record_unknown(self, intent: WriteIntent, error: GatewayError) -> Sent:
        """
        Say that nobody knows how a write went, and try to find out.

        Where no answer has come the platform may still try again, so that what is seen
        now need not be the end of it: that look is left to the reconciliation.
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
            return self._settlement.correction.doubt(intent), None
        if isinstance(error, WriteUnconfirmed) and error.is_answered:
            try:
                return self._settlement.settle(intent), None
            except GatewayError as look:
                log_not_read(record, look)
        return record, None


@contextmanager
def unknown_without_journal() -> Iterator[None]:
    """
    Say that nobody knows how a write went, where this server fails after it.

    The journal may go away then, or a fault in the program may come to light.

    Raises:
        WriteUnconfirmed: It did. Who says no instead might be wrong.
        GatewayError: What the block raised otherwise.
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
