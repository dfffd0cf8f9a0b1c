"""
Endpoint (FHIR R4, 8.15): this server's own FHIR base.

The regions' booking systems have none: clients never reach them, and where they are is
nobody's business.
"""

from typing import Any, Final

__all__ = ["own_endpoint"]

_CONNECTION_TYPE: Final = (
    "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
)
_PAYLOAD_TYPE: Final = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"


def own_endpoint(base_url: str) -> dict[str, Any]:
    """
    Return the Endpoint of this server.

    Args:
        base_url: Its FHIR base, as clients call it.
    """
    return {
        "resourceType": "Endpoint",
        "id": "fhir",
        "status": "active",
        "connectionType": {"system": _CONNECTION_TYPE, "code": "hl7-fhir-rest"},
        "name": "Free times and bookings of the Swedish regions",
        "payloadType": [{"coding": [{"system": _PAYLOAD_TYPE, "code": "any"}]}],
        "payloadMimeType": ["application/fhir+json", "application/fhir+xml"],
        "address": base_url,
    }
