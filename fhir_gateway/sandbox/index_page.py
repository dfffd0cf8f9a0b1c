"""
The sandbox's first page: its parts, their URLs, and the kinds of fault.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_gateway.sandbox.catalogue import SandboxRegion
from fhir_gateway.sandbox.fault_rule import FaultKind

__all__ = ["fault_kinds", "index_page"]


def index_page(
    base: str, regions: Iterable[SandboxRegion], services: Mapping[str, str]
) -> dict[str, Any]:
    """
    Return the page.

    Args:
        base: The URL of the sandbox, without a final slash.
        regions: Its regions.
        services: What the page calls the other producers, and their names in URLs.
    """
    return {
        "regions": [
            {
                "name": region.name,
                "style": region.style.value,
                **_urls(base, region.name),
                "agent": region.agent,
                "aggregated_address": region.aggregated_address,
                "units": len(region.units),
            }
            for region in regions
        ],
        **{shown: _urls(base, name) for shown, name in services.items()},
    } | fault_kinds()


def fault_kinds() -> dict[str, Any]:
    """Return the kinds of fault."""
    return {"fault_kinds": [kind.value for kind in FaultKind]}


def _urls(base: str, name: str) -> dict[str, str]:
    return {
        "endpoint": f"{base}/rivta/{name}",
        "ledger": f"{base}/ledger/{name}",
        "faults": f"{base}/faults/{name}",
    }
