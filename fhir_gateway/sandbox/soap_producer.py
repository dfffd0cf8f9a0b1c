"""
What the sandbox's server asks of each part that answers SOAP.
"""

from email.message import Message
from typing import Any, Protocol

from fhir_gateway.model.interaction import Interaction
from fhir_gateway.sandbox.fault_rule import FaultKind, FaultRules
from fhir_gateway.sandbox.reply import Reply

__all__ = ["SoapProducer"]


class SoapProducer(Protocol):
    """
    A region, or a service.

    Attributes:
        rules: Its fault rules.
    """

    rules: FaultRules

    @property
    def name(self) -> str:
        """Return its name in the sandbox's URLs."""

    @property
    def interactions(self) -> frozenset[Interaction]:
        """Return the interactions that its fault rules may name."""

    @property
    def fault_kinds(self) -> frozenset[FaultKind]:
        """Return the kinds that its fault rules may have."""

    def ledger_json(self) -> dict[str, Any]:
        """Return what it has received and done."""

    def wait(self, seconds: float) -> None:
        """Wait a number of seconds, less when the server stops."""

    def refuses(self, soap_action: str) -> bool:
        """Return whether to reset the connection before the body is read."""

    def add_answering_time(self, seconds: float) -> None:
        """Add the time of one answer, from the first line of its request."""

    def answer(
        self, document: bytes, soap_action: str, headers: Message, /
    ) -> Reply | None:
        """Return the answer to a message, or None to reset the connection."""
