"""
Assembles the platform and the national services behind it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fhir_gateway.model.service_contract import PING_FOR_CONFIGURATION
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.rivta.monitoring_1_0 import ping_for_configuration as ping
from fhir_gateway.rivta.scheduling_1_1 import get_subject_of_care_schedule
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.sandbox.platform.aggregator import Aggregator, Route
from fhir_gateway.sandbox.platform.engagement_index import (
    INDEX_CONTRACTS,
    EngagementIndex,
)
from fhir_gateway.sandbox.platform.service_catalogue import (
    CATALOGUE_CONTRACTS,
    SandboxServiceCatalogue,
)
from fhir_gateway.sandbox.platform.service_platform import ServicePlatform
from fhir_gateway.sandbox.region import Region
from fhir_gateway.sandbox.soap_producer import SoapProducer

__all__ = ["AGGREGATOR", "CATALOGUE", "INDEX", "PLATFORM", "SERVICES", "National"]

PLATFORM: Final = "platform"
AGGREGATOR: Final = "aggregator"
CATALOGUE: Final = "catalogue"
"""The names of the national services in URLs; no region has them."""

INDEX: Final = "index"
"""The name of the engagement index in URLs; no region has it."""

SERVICES: Final = (PLATFORM, AGGREGATOR, CATALOGUE, INDEX)

_UNIT_CONTRACTS: Final = {**CONTRACTS, PING_FOR_CONFIGURATION: ping.CONTRACT}


class National:
    """
    The platform, the aggregating service, the service catalogue and the index.

    Args:
        regions: The regions behind the platform.
        endpoint: Returns the URL of a producer by its name.
        clock: The clock of the services.
        wait: Waits a number of seconds, less when the server stops.
    """

    def __init__(
        self,
        regions: Sequence[Region],
        *,
        endpoint: Callable[[str], str],
        clock: Clock,
        wait: Callable[[float], None],
    ) -> None:
        self.platform = ServicePlatform(
            PLATFORM,
            regions=tuple(region.catalogue for region in regions),
            national={
                get_subject_of_care_schedule.CONTRACT: AGGREGATOR,
                **dict.fromkeys(CATALOGUE_CONTRACTS, CATALOGUE),
                **dict.fromkeys(INDEX_CONTRACTS, INDEX),
            },
            unit_contracts=_UNIT_CONTRACTS,
            endpoint=endpoint,
            wait=wait,
        )
        self.index = EngagementIndex(
            INDEX,
            regions={str(region.catalogue.name): region for region in regions},
            clock=clock,
            wait=wait,
        )
        self.aggregator = Aggregator(
            AGGREGATOR,
            posts=self.index,
            route=Route(
                endpoint=lambda: endpoint(PLATFORM),
                instance_id=self.platform.instance_id,
                options=lambda: self.platform.options,
                is_open=self.platform.routes,
            ),
            clock=clock,
            wait=wait,
        )
        self.catalogue = SandboxServiceCatalogue(
            CATALOGUE,
            platform=self.platform,
            unit_contracts=_UNIT_CONTRACTS,
            clock=clock,
            wait=wait,
        )

    def producers(self) -> Mapping[str, SoapProducer]:
        """Return all of them by their names."""
        return {
            PLATFORM: self.platform,
            AGGREGATOR: self.aggregator,
            CATALOGUE: self.catalogue,
            INDEX: self.index,
        }
