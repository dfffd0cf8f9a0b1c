"""
The adapter for the service catalogue of registry 2.0.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.national.service_catalogue.options import (
    Questions,
    ServiceCatalogueOptions,
)
from fhir_gateway.rivta.client import SoapClient
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import ContractAnswer
from fhir_gateway.rivta.monitoring_1_0 import ping_for_configuration as ping
from fhir_gateway.rivta.registry_2_0 import (
    get_logical_addressees_by_service_contract as addressees,
)
from fhir_gateway.rivta.registry_2_0 import get_supported_service_contracts as supported
from fhir_gateway.rivta.registry_2_0.types import ServiceContractNamespaceType
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.rivta.transport import Credentials, Transport

__all__ = ["ServiceCatalogue20"]

_NAMESPACES: Final = {
    ability: CONTRACTS[ability.interaction].namespace for ability in UnitAbility
}


class ServiceCatalogue20:
    """
    A service catalogue of registry 2.0, asked over SOAP.

    Its contracts have no header Actor.

    Args:
        name: Its name in errors.
        options: How to reach it.
    """

    def __init__(self, name: SourceName, options: ServiceCatalogueOptions) -> None:
        self._options = options
        self._client = SoapClient(
            source=name,
            endpoint=options.endpoint,
            consumer=options.consumer,
            transport=Transport(
                Credentials(certificate=options.certificate, trust=options.trust)
            ),
        )

    def abilities(
        self, units: Collection[HsaId]
    ) -> Mapping[HsaId, frozenset[UnitAbility]]:
        """Return the abilities of the units that it knows; see `ServiceCatalogue`."""
        if self._options.questions is Questions.BY_UNIT:
            return self._by_unit(units)
        return self._by_contract(units)

    def version(self) -> str:
        """Return the version of what answers there; see `ServiceCatalogue`."""
        answer = self._call(
            ping.CONTRACT,
            ping.Request(
                service_contract_namespace=supported.NAMESPACE,
                logical_address=self._options.logical_address,
            ),
        )
        response: ping.Response = answer.response
        return response.version

    def close(self) -> None:
        """Do nothing: each connection is closed after its call."""

    def _by_contract(
        self, units: Collection[HsaId]
    ) -> Mapping[HsaId, frozenset[UnitAbility]]:
        """Ask for each contract which units have it: few calls, of a whole country."""
        having: dict[UnitAbility, frozenset[str]] = {}
        unsure: set[UnitAbility] = set()
        for ability, namespace in _NAMESPACES.items():
            answer = self._call(
                addressees.CONTRACT,
                addressees.Request(
                    service_consumer_hsa_id=self._options.consumer,
                    contract=ServiceContractNamespaceType(
                        service_contract_namespace=namespace
                    ),
                ),
            )
            response: addressees.Response = answer.response
            having[ability] = frozenset(
                record.logical_address.strip().upper() for record in response.records
            )
            # A contract that no unit has is more likely a fault of the catalogue.
            if answer.rejected or not having[ability]:
                unsure.add(ability)
        known = frozenset().union(*having.values())
        return {
            unit: frozenset(
                ability
                for ability, addresses in having.items()
                if unit in addresses or ability in unsure
            )
            for unit in units
            if unit in known
        }

    def _by_unit(
        self, units: Collection[HsaId]
    ) -> Mapping[HsaId, frozenset[UnitAbility]]:
        """Ask for each unit which contracts it has."""
        found: dict[HsaId, frozenset[UnitAbility]] = {}
        for unit in units:
            answer = self._call(
                supported.CONTRACT,
                supported.Request(
                    service_consumer_hsa_id=self._options.consumer, logical_address=unit
                ),
            )
            response: supported.Response = answer.response
            namespaces = {
                each.service_contract_namespace for each in response.contracts
            }
            # The catalogue answers for an unknown unit as for one without contracts.
            if namespaces and not answer.rejected:
                found[unit] = frozenset(
                    ability
                    for ability, namespace in _NAMESPACES.items()
                    if namespace in namespaces
                )
        return found

    def _call(self, contract: Contract[Any, Any], request: object) -> ContractAnswer:
        return self._client.call(
            contract,
            request,
            logical_address=self._options.logical_address,
            actor=None,
            timeout=self._options.timeout.total_seconds(),
        )
