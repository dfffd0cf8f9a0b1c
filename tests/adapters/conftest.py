"""
Real make-believe regions, with an adapter for each.
"""

from collections.abc import Iterator
from functools import partial

import pytest
from builders import NOW

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11, scheduling_1_1
from fhir_gateway.model.ids import SourceName
from fhir_gateway.testing import FakeRegion, FakeRegions

OPTIONS = {"mitt": {"refusal_faults": ["^resultCode: 30[0-9]{2} "]}}


def adapter_of(name: str, endpoint: str) -> Scheduling11:
    """Return an adapter for a region of that name."""
    return scheduling_1_1(
        SourceName(name), {"endpoint": endpoint, **OPTIONS.get(name, {})}
    )


@pytest.fixture(name="regions", scope="module")
def _regions() -> Iterator[FakeRegions]:
    """Give the regions with a clock that stands still."""
    with FakeRegions(now=NOW) as regions:
        yield regions


@pytest.fixture(name="source", params=["norr", "mitt", "syd"])
def _source(
    regions: FakeRegions, request: pytest.FixtureRequest
) -> Iterator[FakeRegion]:
    source = regions.region(request.param, partial(adapter_of, request.param))
    yield source
    source.adapter.close()
    source.clear_faults()
