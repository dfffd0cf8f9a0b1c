"""
fhirpy, a client for Python.

It has no verb for what it does not do as FHIR says: its `patch` sends a JSON merge
patch, its `get_or_create` has the condition in the URL, and it sends no If-Match.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import (
    MultipleResourcesFound,
    OperationOutcome,
    ResourceNotFound,
)
from serve import BASE_URL, TOKEN, serve

_CLIENT: Final = SyncFHIRClient(BASE_URL, authorization=f"Bearer {TOKEN}")
_STATUSES: Final = {ResourceNotFound: 404, MultipleResourcesFound: 412}


def _next(bundle: Mapping[str, Any]) -> Any:
    [url] = [each["url"] for each in bundle["link"] if each["relation"] == "next"]
    return _CLIENT.execute(url, method="get")


def _resource(json_: Mapping[str, Any]) -> Any:
    values = dict(json_)
    return _CLIENT.resource(values.pop("resourceType"), **values)


def _saved(json_: Mapping[str, Any]) -> Any:
    resource = _resource(json_)
    resource.save()
    return resource.serialize()


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, OperationOutcome):
        return {"outcome": error.resource}
    try:
        outcome = json.loads(str(error))
    except ValueError:
        return {}
    return {"outcome": outcome, "status": _STATUSES.get(type(error))}


serve(
    "fhirpy",
    version("fhirpy"),
    {
        "metadata": lambda: _CLIENT.execute("metadata", method="get"),
        "search": lambda type_, query: (
            _CLIENT.resources(type_).search(**query).fetch_raw()
        ),
        "next": _next,
        "read": _CLIENT.get,
        "ask": lambda type_, name, query: _CLIENT.execute(
            f"{type_}/${name}", method="get", params=query
        ),
        "call": lambda type_, name, body: _CLIENT.execute(
            f"{type_}/${name}", method="post", data=body
        ),
        "create": _saved,
        "update": _saved,
        "batch": lambda bundle: _CLIENT.execute("", method="post", data=bundle),
    },
    _failure,
)
