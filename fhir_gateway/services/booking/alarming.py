"""
Alarms: flag a write for manual follow-up, in the journal and in the log.
"""

from collections.abc import Callable

import structlog

from fhir_gateway.stores.journal import Alarm, Journal, WriteIntent

__all__ = ["alarm_logger", "raise_alarm"]

_log = structlog.get_logger()


def raise_alarm(
    journal: Journal, intent: WriteIntent, alarm: Alarm, event: str
) -> None:
    """Flag a write and log that once, or twice if a process dies in between."""
    journal.outcomes.raise_alarm(intent, alarm, log=alarm_logger(intent, event))


def alarm_logger(intent: WriteIntent, event: str) -> Callable[[], None]:
    """Return a function that logs an alarm."""
    return lambda: _log.error(event, booking=intent.booking, kind=intent.kind.value)
