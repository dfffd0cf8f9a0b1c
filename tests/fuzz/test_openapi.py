"""
What the OpenAPI document allows, made by schemathesis: answers are as it says.
"""

from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from web.guarded import token_for

from .canary import Watch
from .tries import CLASSES, add_tries, is_full
from .world import World, resident

_OF: Final = next(each for each in CLASSES if each.name == "OpenAPI")
# Methods at paths in the document, about.
_OPERATIONS: Final = 85
# A schema cannot say all, such as which units there are: that the server refuses a
# request of the right form is no fault.
_CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(name="api")
def _api(world: World, watch: Watch) -> Any:
    assert watch.leaks == []
    app = world.guarded.client().application
    return schemathesis.openapi.from_wsgi("/openapi.json", app)


@pytest.fixture(name="token", scope="module")
def _token() -> str:
    return token_for("resident", resident())


_SCHEMA: Final = schemathesis.pytest.from_fixture("api")
# One try takes half a second, and a body of the whole schema up to a minute.
_CHOSEN: Final = (
    _SCHEMA if is_full() else _SCHEMA.include(method="GET", tag=["Slot", "Appointment"])
)


@_CHOSEN.parametrize()
@settings(
    max_examples=_OF.tries // _OPERATIONS if is_full() else 1,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[*HealthCheck],
)
def test_each_answer_is_as_the_document_says(
    case: schemathesis.Case, token: str
) -> None:
    """A request that the document allows has an answer that it names."""
    add_tries(_OF.name)
    response = case.call(
        headers={
            "Host": "gateway.test",
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {token}",
        }
    )

    case.validate_response(response, checks=[*_CHECKS])
