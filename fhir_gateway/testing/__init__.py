"""
For authors of adapters: the conformance suite, and a simulated region to run it on.

The extra `testing` installs the requirements of this package (pytest). The program
itself never imports it.
"""

import pytest

# Before the first import, so that pytest shows the values of a failed assertion.
pytest.register_assert_rewrite("fhir_gateway.testing.conformance")

from fhir_gateway.testing.conformance import AdapterConformance  # noqa: E402 - as above
from fhir_gateway.testing.fake_region import FakeRegion, FakeRegions  # noqa: E402 - as above
from fhir_gateway.testing.resident import resident  # noqa: E402 - as above
from fhir_gateway.testing.source_under_test import (  # noqa: E402 - as above
    Failure,
    SourceUnderTest,
)

__all__ = [
    "AdapterConformance",
    "Failure",
    "FakeRegion",
    "FakeRegions",
    "SourceUnderTest",
    "resident",
]
