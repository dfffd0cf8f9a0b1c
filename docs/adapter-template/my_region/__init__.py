"""
An adapter for my region: crm:scheduling 1.1, with the region's deviations.
"""

from collections.abc import Mapping

from fhir_gateway.adapters.registry import UnusableOptions
from fhir_gateway.adapters.scheduling_1_1.options import options_from_mapping
from fhir_gateway.model.ids import SourceName
from my_region.adapter import MyRegion

__all__ = ["MyRegion", "my_region"]


def my_region(name: SourceName, options: Mapping[str, object]) -> MyRegion:
    """
    Return an adapter made from a source's options.

    `name_prefix` is an option of this adapter; all others are options of
    `scheduling_1_1`.

    Raises:
        UnusableOptions: An option is unknown, missing or wrong.
    """
    others = dict(options)
    prefix = others.pop("name_prefix", "")
    faults = [] if isinstance(prefix, str) else [("name_prefix", "Not a valid string.")]
    try:
        read = options_from_mapping(others)
    except UnusableOptions as error:
        raise UnusableOptions([*faults, *error.faults]) from error
    if not isinstance(prefix, str):
        raise UnusableOptions(faults)
    return MyRegion(name, read, name_prefix=prefix)
