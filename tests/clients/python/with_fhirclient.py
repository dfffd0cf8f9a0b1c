"""
fhirclient, SMART's client for Python.

It reads answers into classes of its own, which refuse what R4 does not have. It has no
call for versions, patches and conditions.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlencode

from fhirclient.client import FHIRClient
from fhirclient.models.appointment import Appointment
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirelementfactory import FHIRElementFactory
from fhirclient.models.slot import Slot
from serve import BASE_URL, TOKEN, serve

# Its login reads the endpoints in the CapabilityStatement; it then has the token.
_SERVER: Final = FHIRClient({"app_id": "demo-app", "api_base": BASE_URL}).server
_SERVER.get_capability()
_SERVER.auth.access_token = TOKEN
_TYPES: Final = {"Appointment": Appointment, "Slot": Slot}


def _element(resource: Mapping[str, Any]) -> Any:
    return FHIRElementFactory.instantiate(resource["resourceType"], resource)


def _search(type_: str, query: Mapping[str, str]) -> Any:
    return Bundle.read_from(f"{type_}?{urlencode(query)}", _SERVER).as_json()


def _next(bundle: Mapping[str, Any]) -> Any:
    [link] = [each for each in _element(bundle).link if each.relation == "next"]
    return Bundle.read_from(link.url, _SERVER).as_json()


def _failure(error: Exception) -> dict[str, Any]:
    response = getattr(error, "response", None)
    if response is None:
        return {}
    return {"status": response.status_code, "outcome": response.json()}


serve(
    "fhirclient",
    version("fhirclient"),
    {
        "metadata": _SERVER.capabilityStatement.as_json,
        "search": _search,
        "next": _next,
        "read": lambda type_, id_: _TYPES[type_].read(id_, _SERVER).as_json(),
        "ask": lambda type_, name, query: _SERVER.request_json(
            f"{type_}/${name}?{urlencode(query)}"
        ),
        "call": lambda type_, name, body: _SERVER.post_json(
            f"{type_}/${name}", body
        ).json(),
        "create": lambda body: _element(body).create(_SERVER),
        "update": lambda body: _element(body).update(_SERVER),
        "batch": lambda bundle: _SERVER.post_json(
            "", _element(bundle).as_json()
        ).json(),
    },
    _failure,
)
