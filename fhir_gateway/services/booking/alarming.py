"""
Alarms: a person is called to a write, by its row in the journal and a line of the log.
"""

from collections.abc import Callable

import structlog

from fhir_gateway.stores.journal import Alarm, Journal, WriteIntent

__all__ = ["alarm_logger", "raise_alarm"]

_log = structlog.get_logger()


def raise_alarm(
    journal: Journal, intent: WriteIntent, alarm: Alarm, event: str
) -> None:
    """Call a person, once; twice where a process dies in the middle of it."""
    journal.outcomes.raise_alarm(intent, alarm, tell=alarm_logger(intent, event))


def alarm_logger(intent: WriteIntent, event: str) -> Callable[[], None]:
    """Return what logs an alarm."""
    return lambda: _log.error(event, booking=intent.booking, kind=intent.kind.value)
