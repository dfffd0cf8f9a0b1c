"""
The aggregating services in the file of sources: what is read, and what is refused.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11
from fhir_gateway.adapters.sources import (
    WrongSources,
    load_aggregates,
    load_sources,
)
from fhir_gateway.model.ids import LogicalAddress, SourceName
from fhir_gateway.model.source import Aggregate

SOURCES = "".join(
    f"""
[sources.{name}]
adapter = "scheduling_1_1"
title = "Region"
prefixes = ["{prefix}-"]
agent = "{prefix}-AGENT"
refresh_subject = "191212121212"
units_from = "{prefix}-A01"
options.endpoint = "https://{name}.example.org/"
"""
    for name, prefix in (("norr", "SE2321000016"), ("syd", "SE2321000099"))
)
NATIONAL = """
[aggregates.national]
title = "Plattformen"
options.endpoint = "https://platform.example.org/"
"""


def written(tmp_path: Path, text: str) -> Path:
    """Return a file of sources with this text behind two sources."""
    path = tmp_path / "sources.toml"
    path.write_text(SOURCES + text, encoding="utf-8")
    return path


def faults_of(tmp_path: Path, text: str) -> tuple[str, ...]:
    """Return what is wrong with a file."""
    path = written(tmp_path, text)
    with pytest.raises(WrongSources) as raised:
        load_sources(path)
    return raised.value.faults


def test_a_national_service_covers_all_sources_at_ineras_address(
    tmp_path: Path,
) -> None:
    """A title and an endpoint are enough."""
    path = written(tmp_path, NATIONAL)

    (configured,) = load_aggregates(path)

    assert len(load_sources(path)) == 2
    assert isinstance(configured.adapter, Scheduling11)
    assert configured.aggregate == Aggregate(
        name=SourceName("national"),
        title="Plattformen",
        address=LogicalAddress("5565594230"),
        sources=frozenset({SourceName("norr"), SourceName("syd")}),
    )


def test_a_regions_service_has_its_own_settings(tmp_path: Path) -> None:
    """Address, sources, time limit and phone are the operator's."""
    path = written(
        tmp_path,
        NATIONAL.replace(
            "title",
            'sources = ["syd"]\nlogical_address = "12"\nread_timeout_s = 3\n'
            'phone = "1177"\ntitle',
        ),
    )

    (configured,) = load_aggregates(path)

    assert configured.aggregate == Aggregate(
        name=SourceName("national"),
        title="Plattformen",
        address=LogicalAddress("12"),
        sources=frozenset({SourceName("syd")}),
        read_timeout=timedelta(seconds=3),
        phone="1177",
    )


def test_a_file_needs_no_aggregating_service(tmp_path: Path) -> None:
    """Without one there is none."""
    assert load_aggregates(written(tmp_path, "")) == ()


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param(
            NATIONAL.replace("title", "colour = 3\ntitle"),
            ("aggregates.national.colour: is no setting of an aggregating service",),
            id="unknown setting",
        ),
        pytest.param(
            NATIONAL.replace("title", 'sources = ["öst", "norr"]\ntitle'),
            ("aggregates.national.sources: there is no source öst",),
            id="unknown source",
        ),
        pytest.param(
            NATIONAL.replace("national", "norr"),
            ("aggregates.norr.name: is the name of a source; choose another",),
            id="a source's name",
        ),
        pytest.param(
            NATIONAL.replace("national", "National"),
            (
                (
                    "aggregates.National.name: is not a source name: expected a"
                    " lower-case letter followed by up to 30 lower-case letters, digits"
                    " and '-'"
                ),
            ),
            id="no name",
        ),
        pytest.param(
            NATIONAL.replace('title = "Plattformen"', "sources = []"),
            (
                "aggregates.national.title: Missing data for required field.",
                "aggregates.national.sources: Shorter than minimum length 1.",
            ),
            id="two faults",
        ),
        pytest.param(
            NATIONAL + 'options.supports = ["MakeBooking"]',
            (
                (
                    "aggregates.national.options: the service must support"
                    " GetSubjectOfCareSchedule"
                ),
            ),
            id="lists nothing",
        ),
        pytest.param(
            "[aggregates]\nnational = 3",
            ("aggregates.national: is no table",),
            id="a number",
        ),
    ],
)
def test_a_faulty_service_is_named(
    tmp_path: Path, text: str, faults: tuple[str, ...]
) -> None:
    """Each fault names the table and the key, and all are listed."""
    assert faults_of(tmp_path, text) == faults
