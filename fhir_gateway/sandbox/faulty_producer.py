"""
What all parts of the sandbox that answer SOAP have in common.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import Call, read_request
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.sandbox.fault_rule import FaultKind, FaultRules
from fhir_gateway.sandbox.producer import platform_fault
from fhir_gateway.sandbox.strictness import first_difference

__all__ = ["FaultyProducer", "checked_request"]

_Request = TypeVar("_Request")


class FaultyProducer:
    """
    A producer with fault rules.

    Args:
        name: Its name in the sandbox's URLs.
        by_action: The interaction of each SOAP action that it knows.
        wait: Waits a number of seconds, less when the server stops.

    Attributes:
        rules: Its fault rules.
        answering_s: The total seconds spent on answers so far.
    """

    def __init__(
        self,
        name: str,
        *,
        by_action: Mapping[str, Interaction],
        wait: Callable[[float], None],
    ) -> None:
        self.name = name
        self.rules = FaultRules()
        self.answering_s = 0.0
        self._by_action = by_action
        self._wait = wait
        self._lock = threading.Lock()

    def wait(self, seconds: float) -> None:
        """Wait a number of seconds, less when the server stops."""
        self._wait(seconds)

    def refuses(self, soap_action: str) -> bool:
        """Return whether to reset the connection before the body is read."""
        interaction = self._by_action.get(soap_action.strip().strip('"'))
        rule = self.rules.take(interaction, None, kinds={FaultKind.REFUSE})
        return rule is not None

    def add_answering_time(self, seconds: float) -> None:
        """Add the time of one answer, from the first line of its request."""
        with self._lock:
            self.answering_s += seconds


def checked_request(
    contract: Contract[_Request, Any], call: Call, soap_action: str
) -> _Request:
    """
    Return the request that a call carries.

    Raises:
        ProducerFault: The message breaks the schema.
    """
    if soap_action.strip().strip('"') != contract.action:
        raise platform_fault("VP015", "SOAPAction")
    try:
        request = read_request(contract, call)
    except MalformedElement as error:
        raise platform_fault("VP015", error.element) from None
    difference = first_difference(contract, request, call.body)
    if difference:
        raise platform_fault("VP015", difference)
    return request
