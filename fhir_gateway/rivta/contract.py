"""
A service contract: what all of them have in common (RIVTABP21).
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.limit import ANSWER, Limit

__all__ = ["REGISTRY", "Contract"]

REGISTRY: Final = "urn:riv:itintegration:registry:1"

Req = TypeVar("Req")
Res = TypeVar("Res")


@dataclass(frozen=True, slots=True)
class Contract(Generic[Req, Res]):
    """
    A service contract: its names on the wire and the classes of its two messages.

    Attributes:
        interaction: Its name, and whether it writes.
        namespace: The namespace of both body roots, without the minor version.
        request: The class of the message that a consumer sends.
        response: The class of the message that a producer answers with.
        limit: The size limit of an answer that is not about one resident.
        address_namespace: The namespace of the header LogicalAddress.
    """

    interaction: Interaction
    namespace: str
    request: type[Req]
    response: type[Res]
    limit: Limit = ANSWER
    address_namespace: str = REGISTRY

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
