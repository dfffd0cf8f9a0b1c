"""
Real simulated regions, with an adapter for each.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import responses
from builders import NORR, NOW

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11, scheduling_1_1
from fhir_gateway.model.ids import SourceName
from fhir_gateway.testing import FakeRegion, FakeRegions

Answers = Callable[..., Scheduling11]

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


@pytest.fixture(name="answers")
def _answers() -> Iterator[Answers]:
    """Return what gives an adapter for a region that answers with this inside."""
    base = "https://region.example.org/"
    adapter = scheduling_1_1(NORR, {"endpoint": base + "{interaction}"})
    with responses.RequestsMock(assert_all_requests_are_fired=True) as region:

        def answers(interaction: str, inner: str, header: str = "") -> Scheduling11:
            region.post(
                base + interaction,
                body=f"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
            xmlns="urn:riv:crm:scheduling:{interaction}Responder:1"
            xmlns:c="urn:riv:crm:scheduling:1">
  <s:Header>{header}</s:Header><s:Body><{interaction}Response>{inner}</{interaction}Response></s:Body>
</s:Envelope>""".encode(),
            )
            return adapter

        yield answers
    adapter.close()
