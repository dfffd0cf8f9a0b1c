"""
Who asks, on a server that was started with `--open-demo`.
"""

import pytest

from fhir_gateway.access.identity import OpenDemo
from fhir_gateway.model.principal import Principal, Role


@pytest.mark.parametrize("authorization", [None, "Bearer abc", "Basic YTpi"])
def test_everybody_is_a_principal_of_the_demo(authorization: str | None) -> None:
    """Each request is one of the demo's, with any token or none."""
    result = OpenDemo().principal_of(authorization)

    assert result == Principal(role=Role.DEMO)
