"""
What the service contracts have in common (RIVTABP21).
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.limit import ANSWER, Limit

__all__ = ["Contract"]

Req = TypeVar("Req")
Res = TypeVar("Res")


@dataclass(frozen=True, slots=True)
class Contract(Generic[Req, Res]):
    """
    A service contract: its names on the wire and the classes of its two messages.

    Attributes:
        interaction: What it is called, and whether it writes.
        namespace: Of both body roots; the minor version is not in it.
        request: What a consumer sends.
        response: What a producer answers.
        limit: How large an answer may be that is not about one resident.
    """

    interaction: Interaction
    namespace: str
    request: type[Req]
    response: type[Res]
    limit: Limit = ANSWER

    @property
    def action(self) -> str:
        """Return the value of the SOAPAction header, without quotes."""
        return f"{self.namespace}:{self.interaction.name}"

    @property
    def request_tag(self) -> str:
        """Return the root of the request's body."""
        return f"{{{self.namespace}}}{self.interaction.name}"

    @property
    def response_tag(self) -> str:
        """Return the root of the response's body."""
        return f"{{{self.namespace}}}{self.interaction.name}Response"
