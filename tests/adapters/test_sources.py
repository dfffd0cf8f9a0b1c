"""
The file of sources: what a good one gives, and every way in which one is wrong.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from builders import source

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11
from fhir_gateway.adapters.sources import (
    ConfiguredSource,
    WrongSources,
    load_sources,
    source_of_unit,
)
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model import scheduling
from fhir_gateway.model.care_unit import CareUnit, Position
from fhir_gateway.model.ids import CountyCode, HsaId, LogicalAddress, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.source import Budget, Source
from fhir_gateway.sandbox_sources import write_sources

Load = Callable[[str], tuple[ConfiguredSource, ...]]

INTERACTIONS = [interaction.name for interaction in scheduling.INTERACTIONS]

WHOLE = """
[sources.norr]
adapter = "scheduling_1_1"
title = "Region Norr"
prefixes = ["se2321000016-", "SE2321000017-"]
agent = "SE2321000016-AGENT"
refresh_subject = "191212121212"
units_from = "SE2321000016-A01"
schedule_address = "25"
calls_per_second = 0.5
calls_in_flight = 3
horizon_days = 60
window_days = 14
read_timeout_s = 5.5
write_timeout_s = 40
fresh_for_s = 120
offered_for_s = 600
reason_limit = 300
county = "SE-M"
time_types = "norr.json"

[sources.norr.options]
endpoint = "https://norr.example.org/{interaction}"

[[sources.norr.units]]
hsa_id = "se2321000016-a01"
name = "Mottagningen"
organization = "SE2321000016-0000"
organization_name = "Region Norr"
phone = "0980-319 200"
street = "Björkgatan 2"
postal_code = "903 26"
city = "Umeå"
latitude = 63.8258
longitude = 20.263
"""

SHORT = """
[sources.norr]
adapter = "scheduling_1_1"
title = "Region Norr"
prefixes = ["SE2321000016-"]
agent = "SE2321000016-AGENT"
refresh_subject = "191212121212"
units_from = "SE2321000016-A01"
options.endpoint = "https://norr.example.org/"
"""


@pytest.fixture(name="load")
def _load(tmp_path: Path) -> Iterator[Load]:
    """Return the reader of a file with the given text."""
    with ExitStack() as stack:

        def load(text: str) -> tuple[ConfiguredSource, ...]:
            (tmp_path / "norr.json").touch()
            path = tmp_path / "sources.toml"
            path.write_text(text, encoding="utf-8")
            configured = load_sources(path)
            for each in configured:
                stack.enter_context(closing(each.adapter))
            return configured

        yield load


def faults_of(load: Load, text: str) -> tuple[str, ...]:
    """Return what is wrong with a file."""
    with pytest.raises(WrongSources) as raised:
        load(text)
    # The chaos test installs adapters of its own for as long as its worker lives.
    installed = {each.name for each in entry_points(group="fhir_gateway.adapters")}
    return tuple(
        fault.replace(", ".join(sorted(installed)), "scheduling_1_1")
        for fault in raised.value.faults
    )


def test_a_whole_source_is_read(load: Load, tmp_path: Path) -> None:
    """Every setting of a source stands in what is loaded."""
    (configured,) = load(WHOLE)

    assert configured.source == Source(
        name=SourceName("norr"),
        title="Region Norr",
        prefixes=("SE2321000016-", "SE2321000017-"),
        agent=HsaId("SE2321000016-AGENT"),
        refresh_subject=PersonalIdentityNumber("191212121212"),
        units=(
            CareUnit(
                hsa_id=HsaId("SE2321000016-A01"),
                name="Mottagningen",
                source=SourceName("norr"),
                organization=HsaId("SE2321000016-0000"),
                organization_name="Region Norr",
                phone="0980-319 200",
                street="Björkgatan 2",
                postal_code="903 26",
                city="Umeå",
                position=Position(latitude=63.8258, longitude=20.263),
            ),
        ),
        units_from=HsaId("SE2321000016-A01"),
        schedule_address=LogicalAddress("25"),
        budget=Budget(calls_per_second=0.5, calls_in_flight=3),
        horizon=timedelta(days=60),
        window=timedelta(days=14),
        read_timeout=timedelta(seconds=5.5),
        write_timeout=timedelta(seconds=40),
        fresh_for=timedelta(minutes=2),
        offered_for=timedelta(minutes=10),
        reason_limit=300,
        county=CountyCode("SE-M"),
    )
    assert configured.time_types == tmp_path / "norr.json"
    assert isinstance(configured.adapter, Scheduling11)
    assert configured.adapter.name == "norr"


def test_a_short_source_has_the_defaults(load: Load) -> None:
    """What is not said is as the contract's load figure and timeouts have it."""
    (configured,) = load(SHORT)

    assert configured.source == Source(
        name=SourceName("norr"),
        title="Region Norr",
        prefixes=("SE2321000016-",),
        agent=HsaId("SE2321000016-AGENT"),
        refresh_subject=PersonalIdentityNumber("191212121212"),
        units_from=HsaId("SE2321000016-A01"),
        budget=Budget(calls_per_second=1.0, calls_in_flight=2),
        horizon=timedelta(days=90),
        window=timedelta(days=90),
        read_timeout=timedelta(seconds=8),
        write_timeout=timedelta(seconds=32),
        fresh_for=timedelta(minutes=10),
        offered_for=timedelta(minutes=30),
    )
    assert configured.time_types is None


def test_the_sandbox_file_loads(tmp_path: Path) -> None:
    """The file that the demo writes has the three regions with all their units."""
    path = write_sources(tmp_path, "http://127.0.0.1:8090", 2_000, Vocabulary())

    configured = load_sources(path)

    for each in configured:
        each.adapter.close()
    assert [(each.source.name, len(each.source.units)) for each in configured] == [
        ("norr", 2),
        ("mitt", 2),
        ("syd", 2),
    ]


ONE_FAULT = [
    pytest.param(
        SHORT.replace('adapter = "scheduling_1_1"\n', ""),
        "sources.norr.adapter: Missing data for required field.",
        id="no adapter",
    ),
    pytest.param(
        SHORT.replace("scheduling_1_1", "soap"),
        "sources.norr.adapter: there is no adapter 'soap'; installed are:"
        " scheduling_1_1",
        id="an unknown adapter",
    ),
    pytest.param(
        SHORT.replace('"Region Norr"', '""'),
        "sources.norr.title: Shorter than minimum length 1.",
        id="an empty title",
    ),
    pytest.param(
        SHORT.replace("title =", 'county = "Skåne"\ntitle ='),
        "sources.norr.county: is not a county: expected a code of ISO 3166-2:SE, such"
        " as SE-M",
        id="a county by its name",
    ),
    pytest.param(
        SHORT.replace('["SE2321000016-"]', "[]"),
        "sources.norr.prefixes: Shorter than minimum length 1.",
        id="no prefix",
    ),
    pytest.param(
        SHORT.replace('["SE2321000016-"]', '"SE2321000016-"'),
        "sources.norr.prefixes: Not a valid list.",
        id="a prefix that is no list",
    ),
    pytest.param(
        SHORT.replace('["SE2321000016-"]', '["SE2321000016-", 7]'),
        "sources.norr.prefixes.1: Not a valid string.",
        id="a prefix that is no text",
    ),
    pytest.param(
        SHORT.replace("-AGENT", "_AGENT"),
        "sources.norr.agent: is not an HSA-id: expected 1 to 31 letters, digits, '.'"
        " and '-'",
        id="an agent that is no HSA-id",
    ),
    pytest.param(
        SHORT.replace("191212121212", "191212121213"),
        "sources.norr.refresh_subject: is not a personal number: its check digit is"
        " wrong",
        id="a wrong number for the refresh",
    ),
    pytest.param(
        SHORT.replace('units_from = "SE2321000016-A01"\n', ""),
        "sources.norr.units: there is none; list them or name a unit in units_from",
        id="no unit",
    ),
    pytest.param(
        SHORT.replace("title", "colour = 3\ntitle"),
        "sources.norr.colour: is no setting of a source",
        id="an unknown setting",
    ),
    pytest.param(
        SHORT + "calls_per_second = 0\n",
        "sources.norr.calls_per_second: Must be greater than or equal to 0.01 and less"
        " than or equal to 1000.",
        id="no call a second",
    ),
    pytest.param(
        SHORT + "calls_per_second = nan\n",
        "sources.norr.calls_per_second: Special numeric values (nan or infinity) are"
        " not permitted.",
        id="a rate that is no number",
    ),
    pytest.param(
        SHORT + "calls_in_flight = 2.5\n",
        "sources.norr.calls_in_flight: Not a valid integer.",
        id="half a call in flight",
    ),
    pytest.param(
        SHORT + "calls_in_flight = true\n",
        "sources.norr.calls_in_flight: Not a valid integer.",
        id="a truth for a number",
    ),
    pytest.param(
        SHORT + "horizon_days = 367\n",
        "sources.norr.horizon_days: Must be greater than or equal to 1 and less than"
        " or equal to 366.",
        id="a horizon of more than a year",
    ),
    pytest.param(
        SHORT + "window_days = 0\n",
        "sources.norr.window_days: Must be greater than or equal to 1 and less than or"
        " equal to 366.",
        id="a window of no days",
    ),
    pytest.param(
        SHORT + 'read_timeout_s = "soon"\n',
        "sources.norr.read_timeout_s: Not a valid number.",
        id="a timeout in words",
    ),
    pytest.param(
        SHORT + "offered_for_s = 60\n",
        "sources.norr.offered_for_s: is shorter than fresh_for_s",
        id="offered for a shorter time than fresh",
    ),
    pytest.param(
        SHORT + 'time_types = "absent.json"\n',
        "sources.norr.time_types: there is no file absent.json",
        id="time types that are not there",
    ),
    pytest.param(
        SHORT.replace("options.endpoint", "options.address"),
        "sources.norr.options.address: is no option of the adapter scheduling_1_1",
        id="an unknown option",
    ),
    pytest.param(
        SHORT.replace("https://norr", "ftp://norr"),
        "sources.norr.options.endpoint: is not an http or https URL",
        id="a bad option",
    ),
    pytest.param(
        SHORT + '[[sources.norr.units]]\nhsa_id = "SE2321000099-B01"\nname = "M"\n',
        "sources.norr.units: SE2321000099-B01 has none of the source's prefixes",
        id="a unit outside the prefix",
    ),
    pytest.param(
        SHORT + '[[sources.norr.units]]\nhsa_id = "SE2321000016-A01"\n',
        "sources.norr.units.0.name: Missing data for required field.",
        id="a unit without a name",
    ),
    pytest.param(
        SHORT
        + '[[sources.norr.units]]\nhsa_id = "SE2321000016-A01"\nname = "M"\nsize = 3\n',
        "sources.norr.units.0.size: is no setting of a unit",
        id="an unknown setting of a unit",
    ),
    pytest.param(
        SHORT
        + '[[sources.norr.units]]\nhsa_id = "SE2321000016-A01"\nname = "M"\n'
        + "latitude = 91\n",
        "sources.norr.units.0.latitude: Must be greater than or equal to -90 and less"
        " than or equal to 90.",
        id="a unit beyond the pole",
    ),
    pytest.param(
        SHORT.replace("sources.norr", "sources.Norr"),
        "sources.Norr.name: is not a source name: expected a lower-case letter followed"
        " by up to 30 lower-case letters, digits and '-'",
        id="a name that is none",
    ),
    pytest.param(
        "[sources]\nnorr = 3\n",
        "sources.norr: is no table",
        id="a source that is no table",
    ),
]


@pytest.mark.parametrize(("text", "fault"), ONE_FAULT)
def test_a_fault_is_named(load: Load, text: str, fault: str) -> None:
    """A fault names the source and the setting."""
    faults = faults_of(load, text)

    assert fault in faults
    # A missing required option follows from an unknown one.
    assert set(faults) - {fault} <= {
        "sources.norr.options.endpoint: Missing data for required field."
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("[sources]\n", id="no source"),
        pytest.param("sources = 3\n", id="no table"),
    ],
)
def test_a_file_without_sources_is_refused(load: Load, text: str) -> None:
    """A file that has no source says what to write."""
    assert faults_of(load, text) == (
        "sources: there is none; write a table [sources.NAME]",
    )


def test_another_table_is_refused(load: Load) -> None:
    """A table that is not of sources is no setting."""
    assert faults_of(load, SHORT + "[source.syd]\n") == (
        (
            "source: is no setting; the tables are [sources.NAME], [aggregates.NAME]"
            " and [service_catalogues.NAME]"
        ),
    )


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there says so."""
    path = tmp_path / "sources.toml"

    with pytest.raises(WrongSources) as raised:
        load_sources(path)

    assert str(raised.value) == (
        f"{path} has 1 fault:\n  - it cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[sources.norr\n", id="cut off"),
        pytest.param(b'{"sources": {}}', id="JSON"),
        pytest.param('title = "Malmö"'.encode("latin-1"), id="Latin 1"),
    ],
)
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is not TOML in UTF-8 says so."""
    path = tmp_path / "sources.toml"
    path.write_bytes(content)

    with pytest.raises(WrongSources) as raised:
        load_sources(path)

    (fault,) = raised.value.faults
    assert fault.startswith("it is not TOML: ")


def test_all_faults_are_listed(load: Load) -> None:
    """Faults of several kinds, in several sources, come in one answer."""
    text = (
        SHORT.replace("title", "colour = 3\ntitle").replace("scheduling_1_1", "soap")
        + SHORT.replace("norr", "mitt").replace("191212121212", "x")
        + "options.supports = ['GetTea']\n"
        + SHORT.replace("norr", "syd").replace("https", "ftp")
        + "offered_for_s = 1\ntime_types = 'absent.json'\n"
        + "[other]\n"
    )

    assert sorted(faults_of(load, text)) == [
        (
            "other: is no setting; the tables are [sources.NAME], [aggregates.NAME]"
            " and [service_catalogues.NAME]"
        ),
        f"sources.mitt.options.supports.0: Must be one of: {', '.join(INTERACTIONS)}.",
        (
            "sources.mitt.refresh_subject: is not a personal number: expected 12"
            " digits, YYYYMMDDNNNN, without hyphen"
        ),
        (
            "sources.norr.adapter: there is no adapter 'soap'; installed are:"
            " scheduling_1_1"
        ),
        "sources.norr.colour: is no setting of a source",
        "sources.syd.offered_for_s: is shorter than fresh_for_s",
        "sources.syd.options.endpoint: is not an http or https URL",
        "sources.syd.time_types: there is no file absent.json",
    ]


def test_the_message_lists_the_faults(load: Load, tmp_path: Path) -> None:
    """The error counts the faults and has one line for each."""
    with pytest.raises(WrongSources) as raised:
        load(SHORT.replace("-AGENT", "_AGENT").replace("191212121212", "19121212121"))

    lines = str(raised.value).splitlines()
    assert lines[0] == f"{tmp_path / 'sources.toml'} has 2 faults:"
    assert [line[:20] for line in lines[1:]] == [
        "  - sources.norr.age",
        "  - sources.norr.ref",
    ]


def test_a_fault_never_repeats_a_personal_number(load: Load) -> None:
    """A wrong number for the refresh is not quoted."""
    with pytest.raises(WrongSources) as raised:
        load(SHORT.replace("191212121212", "191212121213"))

    assert "191212121213" not in str(raised.value)


def test_a_prefix_has_one_source(load: Load) -> None:
    """Two sources with the same prefix, in any case, are refused."""
    text = SHORT + SHORT.replace("norr", "syd").replace(
        'SE2321000016-"]', 'se2321000016-"]'
    )

    assert faults_of(load, text) == (
        (
            "sources.syd.prefixes: SE2321000016- is also a prefix of norr; each prefix"
            " has one source"
        ),
    )


def test_a_unit_of_another_sources_longer_prefix_is_refused(load: Load) -> None:
    """A unit that a longer prefix gives to another source cannot be listed here."""
    text = (
        SHORT
        + '[[sources.norr.units]]\nhsa_id = "SE2321000016-B01"\nname = "M"\n'
        + SHORT.replace("norr", "syd").replace(
            '["SE2321000016-"]', '["SE2321000016-B"]'
        )
    )

    assert faults_of(load, text) == (
        (
            "sources.norr.units: SE2321000016-B01 belongs to syd,"
            " which has a longer prefix"
        ),
    )


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        pytest.param("SE2321000016-A01", "norr", id="the shorter prefix alone"),
        pytest.param("SE2321000016-B01", "syd", id="both, and the longer wins"),
        pytest.param("se2321000016-b01", "syd", id="in lower case"),
        pytest.param("SE2321000099-A01", None, id="neither"),
    ],
)
def test_the_longest_prefix_wins(unit: str, expected: str | None) -> None:
    """A unit belongs to the source with the longest of its prefixes."""
    norr = source("norr", prefixes=("SE2321000016-",))
    syd = source("syd", prefixes=("SE2321000016-B", "SE2321000017-"))

    for sources in ([norr, syd], [syd, norr]):
        owner = source_of_unit(sources, HsaId(unit))

        assert (owner.name if owner else None) == expected


def test_the_order_of_sources_is_the_files(load: Load) -> None:
    """Sources come in the order in which they stand."""
    text = SHORT.replace("norr", "syd").replace("2321000016", "2321000017") + SHORT

    assert [each.source.name for each in load(text)] == ["syd", "norr"]


def test_a_quoted_setting_is_read_as_it_stands(load: Load) -> None:
    """A title keeps its letters, quotes and all."""
    title = 'Region "Norr" åäö'

    (configured,) = load(SHORT.replace('"Region Norr"', json.dumps(title)))

    assert configured.source.title == title
