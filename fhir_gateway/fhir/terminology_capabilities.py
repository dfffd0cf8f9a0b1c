"""
TerminologyCapabilities (FHIR R4, 5.4): what the terminology operations know and take.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fhir_gateway.fhir.known_system import KnownSystem
from fhir_gateway.fhir.terminology_call import EXPAND
from fhir_gateway.model.timekeeping import instant_text

__all__ = ["terminology_capabilities"]


def terminology_capabilities(
    systems: Iterable[KnownSystem],
    *,
    base_url: str,
    software_version: str,
    started_at: datetime,
) -> dict[str, Any]:
    """
    Return the TerminologyCapabilities of a server.

    Args:
        systems: The code systems that it knows.
        base_url: Its FHIR base.
        software_version: Our version.
        started_at: When it started.
    """
    return {
        "resourceType": "TerminologyCapabilities",
        "status": "active",
        "date": instant_text(started_at),
        "kind": "instance",
        "software": {"name": "fhir-gateway", "version": software_version},
        "implementation": {
            "description": "Booking over Swedish regions' RIV-TA contracts",
            "url": base_url,
        },
        "lockedDate": False,
        "codeSystem": [_code_system(each) for each in systems],
        "expansion": {
            "hierarchical": False,
            "paging": True,
            "incomplete": False,
            "parameter": [{"name": name} for each in EXPAND for name in each.names],
            "textFilter": "A part of a code or of a name, in any case.",
        },
        "codeSearch": "explicit",
        "validateCode": {"translations": True},
        "translation": {"needsMap": False},
    }


def _code_system(known: KnownSystem) -> dict[str, Any]:
    described: dict[str, Any] = {"uri": known.url}
    if known.version is not None:
        described["version"] = [{"code": known.version}]
    return described | {"subsumption": known.has_subsumption}
