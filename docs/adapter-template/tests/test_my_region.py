"""
Tests of my region's adapter: the conformance suite, and the region's deviations.
"""

from collections.abc import Iterator

import pytest
from my_region import MyRegion, my_region

from fhir_gateway.adapters.registry import UnusableOptions, adapter_factory
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import GetAllTimeTypes
from fhir_gateway.testing import AdapterConformance, FakeRegion, FakeRegions

NAME = SourceName("mine")


@pytest.fixture(name="regions", scope="module")
def _regions() -> Iterator[FakeRegions]:
    with FakeRegions() as regions:
        yield regions


@pytest.fixture(name="source")
def _source(regions: FakeRegions) -> Iterator[FakeRegion]:
    source = regions.region(
        "norr",
        lambda endpoint: my_region(
            NAME, {"endpoint": endpoint, "name_prefix": "Covid-"}
        ),
    )
    yield source
    source.adapter.close()
    source.clear_faults()


class TestMyRegion(AdapterConformance):
    """The adapter passes the conformance suite."""


def test_the_gateway_finds_the_adapter() -> None:
    """The entry point in pyproject.toml has the adapter's name in the configuration."""
    adapter = adapter_factory("my_region")(NAME, {"endpoint": "https://example.org"})

    assert isinstance(adapter, MyRegion)


def test_names_of_time_types_have_no_prefix(source: FakeRegion) -> None:
    """The adapter leaves out the words before each name."""
    answer = source.adapter.get_all_time_types(
        GetAllTimeTypes(
            unit=source.unit,
            actor=Actor.agent(source.agent),
            subject_of_care=source.new_resident().number,
        ),
        timeout=5,
    )

    assert [each.name for each in answer.items] == [
        each.name.removeprefix("Covid-")
        for each in source.catalogue.units[0].time_types
    ]
    assert any(
        each.name.startswith("Covid-") for each in source.catalogue.units[0].time_types
    )


def test_every_wrong_option_is_named() -> None:
    """A fault of our own option does not hide a fault of another."""
    with pytest.raises(UnusableOptions) as raised:
        my_region(NAME, {"name_prefix": 1})

    assert [name for name, _ in raised.value.faults] == ["name_prefix", "endpoint"]
