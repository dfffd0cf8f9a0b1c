"""
Client requests: how a repeat is recognised, and what it is answered.
"""

from dataclasses import dataclass, field

from fhir_gateway.model.errors import Conflict

__all__ = ["RecordedAnswer", "RepeatedRequest", "RequestKey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """
    What a client calls its request, so that a repeat of it is recognised.

    Attributes:
        client: Who asks; two clients' keys have nothing to do with each other.
        key: Its `Idempotency-Key`, or the condition of its `If-None-Exist`; stored as a
            keyed hash only.
        fingerprint: What the request said, in a canonical form; stored likewise.
    """

    client: str = field(repr=False)
    key: str = field(repr=False)
    fingerprint: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RecordedAnswer:
    """
    What a client was answered, to be answered again.

    Attributes:
        status: The HTTP status.
        headers: Those that belong to the answer, such as ETag.
        body: JSON; empty when there was none.
        booking: Our own id of the booking that it shows; None when it shows none.
        standing: How that stood then, in words of the part that keeps the answer.
    """

    status: int
    headers: dict[str, str]
    body: str
    booking: str | None = None
    standing: str = ""


class RepeatedRequest(Conflict):
    """
    The client has used this key before; nothing was done now.

    Args:
        is_same: Whether the two requests said the same.
        booking: Our own id of the booking that the first request came to concern.
        intent: The id of what it came to decide.
        answer: What it was answered, once that was final.
        is_running: It is being worked at just now.
    """

    def __init__(
        self,
        *,
        is_same: bool,
        booking: str | None = None,
        intent: str | None = None,
        answer: RecordedAnswer | None = None,
        is_running: bool = False,
    ) -> None:
        super().__init__("That request key has been used before.")
        self.is_same = is_same
        self.booking = booking
        self.intent = intent
        self.answer = answer
        self.is_running = is_running
