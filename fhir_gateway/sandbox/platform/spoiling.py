"""
The faults of a producer that has no ledger: the platform and its services.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fhir_gateway.sandbox.fault_rule import FaultKind, FaultRule
from fhir_gateway.sandbox.producer import platform_fault
from fhir_gateway.sandbox.reply import CARRIED, Reply, carried, fault_reply

__all__ = ["SPOILING", "spoiled"]

SPOILING: Final = frozenset(FaultKind) - {
    FaultKind.EMPTY,
    FaultKind.ERROR,
    FaultKind.INFO,
}
"""The kinds that need no knowledge of a contract."""

_UNANSWERED: Final = frozenset(
    {
        *(FaultKind.HANG, FaultKind.REFUSE),
        *(FaultKind.DROP_BEFORE_PROCESSING, FaultKind.DROP_AFTER_PROCESSING),
    }
)
_PROCESSED: Final = CARRIED | {FaultKind.ANSWER_LATE, FaultKind.DROP_AFTER_PROCESSING}
_NOTHING: Final = Reply(status=200, body=b"")


def spoiled(
    rule: FaultRule, process: Callable[[], Reply], wait: Callable[[float], None]
) -> Reply | None:
    """
    Return the answer to a call that a rule covers, or None to reset the connection.

    Args:
        rule: The rule.
        process: Answers the call as if there were no rule.
        wait: Waits a number of seconds, less when the server stops.
    """
    reply = process() if rule.after or rule.kind in _PROCESSED else _NOTHING
    if rule.kind in CARRIED:
        return carried(reply, rule)
    wait(rule.seconds)
    if rule.kind in _UNANSWERED:
        return None
    match rule.kind:
        case FaultKind.VP_FAULT:
            return fault_reply(platform_fault(rule.code))
        case FaultKind.WRONG_STATUS:
            return replace(reply, status=rule.status)
        case FaultKind.DELIVER_NOTHING:
            return _NOTHING
    return reply
