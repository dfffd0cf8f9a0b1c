"""
HTTP answers of the sandbox, and the faults of their transfer.
"""

from dataclasses import dataclass, replace
from typing import Final

from fhir_gateway.rivta.envelope import write_fault
from fhir_gateway.sandbox.fault_rule import FaultKind, FaultRule
from fhir_gateway.sandbox.producer import ProducerFault

__all__ = ["CARRIED", "Reply", "carried", "fault_reply"]

# Faults of the HTTP transfer only: the answer itself is right.
CARRIED: Final = frozenset(
    {FaultKind.EARLY_HINTS, FaultKind.ANSWER_TWICE, FaultKind.SET_COOKIE}
)
_COOKIE: Final = ("Set-Cookie", "JSESSIONID=sandbox; Path=/")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Reply:
    """
    An HTTP answer.

    Attributes:
        interim: The status of an interim answer before it, or None.
        is_repeated: Whether the answer is sent twice.
        pause_s: The pause after the interim answer, or before the repetition.
        headers: Further headers.
    """

    status: int
    body: bytes
    interim: int | None = None
    is_repeated: bool = False
    pause_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


def carried(reply: Reply, rule: FaultRule) -> Reply:
    """Return an answer with the faults of its HTTP transfer."""
    match rule.kind:
        case FaultKind.EARLY_HINTS:
            return replace(reply, interim=rule.status, pause_s=rule.seconds)
        case FaultKind.ANSWER_TWICE:
            return replace(reply, is_repeated=True, pause_s=rule.seconds)
        case _:
            return replace(reply, headers=(_COOKIE,))


def fault_reply(fault: ProducerFault) -> Reply:
    """Return the answer that carries a fault."""
    return Reply(status=500, body=write_fault(fault.fault))
