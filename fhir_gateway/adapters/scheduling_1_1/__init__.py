"""
Adapter for RIV-TA crm:scheduling 1.1 and the known deviations of its producers.
"""

from collections.abc import Mapping

from fhir_gateway.adapters.scheduling_1_1.adapter import Scheduling11
from fhir_gateway.adapters.scheduling_1_1.options import options_from_mapping
from fhir_gateway.model.ids import SourceName

__all__ = ["Scheduling11", "scheduling_1_1"]


def scheduling_1_1(name: SourceName, options: Mapping[str, object]) -> Scheduling11:
    """
    Return an adapter made from a source's options; see docs/configuration.md.

    Raises:
        UnusableOptions: An option is unknown, missing or wrong.
    """
    return Scheduling11(name, options_from_mapping(options))
