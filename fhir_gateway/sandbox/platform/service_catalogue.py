"""
The sandbox's service catalogue (`tjänsteadresseringskatalog`, TAK): registry 2.0.

It answers from the routes of the platform, so that it and the platform's faults agree.
"""

from collections.abc import Callable, Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any, Final

from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.service_contract import (
    GET_LOGICAL_ADDRESSEES_BY_SERVICE_CONTRACT,
    GET_SUPPORTED_SERVICE_CONTRACTS,
    PING_FOR_CONFIGURATION,
)
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import (
    Call,
    MalformedEnvelope,
    read_call,
    write_response,
)
from fhir_gateway.rivta.monitoring_1_0 import ping_for_configuration as ping
from fhir_gateway.rivta.registry_2_0 import (
    get_logical_addressees_by_service_contract as addressees,
)
from fhir_gateway.rivta.registry_2_0 import get_supported_service_contracts as supported
from fhir_gateway.rivta.registry_2_0.types import ServiceContractNamespaceType
from fhir_gateway.rivta.xml import UnreadableXml
from fhir_gateway.sandbox.faulty_producer import FaultyProducer, checked_request
from fhir_gateway.sandbox.platform.service_platform import ServicePlatform
from fhir_gateway.sandbox.platform.spoiling import SPOILING, spoiled
from fhir_gateway.sandbox.producer import (
    ProducerFault,
    ping_response,
    platform_fault,
)
from fhir_gateway.sandbox.reply import Reply, fault_reply

__all__ = ["CATALOGUE_CONTRACTS", "SandboxServiceCatalogue"]

CATALOGUE_CONTRACTS: Final[tuple[Contract[Any, Any], ...]] = (
    supported.CONTRACT,
    addressees.CONTRACT,
    ping.CONTRACT,
)
_BY_TAG: Final = {each.request_tag: each for each in CATALOGUE_CONTRACTS}
_BY_ACTION: Final = {each.action: each.interaction for each in CATALOGUE_CONTRACTS}


class SandboxServiceCatalogue(FaultyProducer):
    """
    The catalogue.

    Args:
        name: Its name in the sandbox's URLs.
        platform: The platform with the routes.
        unit_contracts: The contracts that a unit may have.
        clock: The clock of pings.
        wait: Waits a number of seconds, less when the server stops.

    Attributes:
        interactions: Those that its fault rules may name.
        fault_kinds: The kinds of its fault rules.
    """

    interactions: Final = frozenset(
        {
            GET_SUPPORTED_SERVICE_CONTRACTS,
            GET_LOGICAL_ADDRESSEES_BY_SERVICE_CONTRACT,
            PING_FOR_CONFIGURATION,
        }
    )
    fault_kinds: Final = SPOILING

    def __init__(
        self,
        name: str,
        *,
        platform: ServicePlatform,
        unit_contracts: Mapping[Interaction, Contract[Any, Any]],
        clock: Clock,
        wait: Callable[[float], None],
    ) -> None:
        super().__init__(name, by_action=_BY_ACTION, wait=wait)
        self._platform = platform
        self._unit_contracts = unit_contracts
        self._clock = clock
        self._answers = 0

    def ledger_json(self) -> dict[str, Any]:
        """Return how many answers it gave."""
        with self._lock:
            return {"service_catalogue": self.name, "answers": self._answers}

    def answer(
        self,
        document: bytes,
        soap_action: str,
        _headers: Message,
    ) -> Reply | None:
        """Return the answer to a message, or None to reset the connection."""
        try:
            call = read_call(document)
        except (UnreadableXml, MalformedEnvelope):
            return fault_reply(platform_fault("VP015"))

        def looked_up() -> Reply:
            try:
                return self._look_up(call, soap_action)
            except ProducerFault as fault:
                return fault_reply(fault)

        contract = _BY_TAG.get(call.action)
        rule = self.rules.take(
            None if contract is None else contract.interaction, call.logical_address
        )
        if rule is None:
            return looked_up()
        return spoiled(rule, looked_up, self._wait)

    def _look_up(self, call: Call, soap_action: str) -> Reply:
        contract = _BY_TAG.get(call.action)
        if contract is None:
            raise platform_fault("VP004")
        request = checked_request(contract, call, soap_action)
        with self._lock:
            self._answers += 1
        if isinstance(request, supported.Request):
            response: Any = supported.Response(
                contracts=tuple(
                    ServiceContractNamespaceType(
                        service_contract_namespace=of_unit.namespace
                    )
                    for interaction, of_unit in self._unit_contracts.items()
                    if self._platform.routes(request.logical_address, interaction)
                )
            )
        elif isinstance(request, addressees.Request):
            response = addressees.Response(records=self._addressees(request))
        else:
            response = ping_response(self._clock)
        return Reply(status=HTTPStatus.OK, body=write_response(contract, response))

    def _addressees(
        self, request: addressees.Request
    ) -> tuple[addressees.LogicalAddresseeRecordType, ...]:
        namespace = request.contract.service_contract_namespace
        return tuple(
            addressees.LogicalAddresseeRecordType(logical_address=unit)
            for interaction, contract in self._unit_contracts.items()
            if contract.namespace == namespace
            for unit in self._platform.units
            if self._platform.routes(unit, interaction)
        )
