"""
Values of wrong types in the file of sources.
"""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fhir_gateway.adapters.scheduling_1_1.options import Options
from fhir_gateway.adapters.source_schema import SourceSchema, UnitSchema
from fhir_gateway.adapters.sources import WrongSources, load_sources

SOURCE = {
    "adapter": '"scheduling_1_1"',
    "title": '"Region Norr"',
    "prefixes": '["SE2321000016-"]',
    "agent": '"SE2321000016-AGENT"',
    "refresh_subject": '"191212121212"',
    "options.endpoint": '"https://norr.example.org/{interaction}"',
    "units": '[{hsa_id = "SE2321000016-A01", name = "Mottagningen"}]',
}
UNIT = {"hsa_id": '"SE2321000016-A01"', "name": '"Mottagningen"'}

# No setting takes any of these.
WRONG = ["true", "nan", "2026-01-01", "[1]", "[[]]", "{a = 1}"]


def written(folder: Path, **changes: str) -> Path:
    """Write a file of one source with settings in TOML; return where it is."""
    settings = SOURCE | {
        name.replace("__", "."): value for name, value in changes.items()
    }
    if "options" in changes:
        del settings["options.endpoint"]
    path = folder / "sources.toml"
    path.write_text(
        "[sources.norr]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items()),
        encoding="utf-8",
    )
    return path


def faults(path: Path) -> tuple[str, ...]:
    """Return what is wrong with a file, which is TOML all the same."""
    document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    assert document["sources"]
    with pytest.raises(WrongSources) as caught:
        load_sources(path)
    return caught.value.faults


def test_the_file_is_good_otherwise(tmp_path: Path) -> None:
    """The file that these tests change can be loaded."""
    (configured,) = load_sources(written(tmp_path))
    configured.adapter.close()

    assert configured.source.title == "Region Norr"


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", SourceSchema().fields)
def test_a_source_takes_no_value_of_a_wrong_type(
    tmp_path: Path, name: str, value: str
) -> None:
    """A setting of a source with a value of a wrong type is refused by its name."""
    assert any(name in fault for fault in faults(written(tmp_path, **{name: value})))


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", UnitSchema().fields)
def test_a_unit_takes_no_value_of_a_wrong_type(
    tmp_path: Path, name: str, value: str
) -> None:
    """A setting of a unit with a value of a wrong type is refused by its name."""
    unit = ", ".join(f"{k} = {v}" for k, v in (UNIT | {name: value}).items())
    path = written(tmp_path, units=f"[{{{unit}}}]")

    assert any(name in fault for fault in faults(path))


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", [each.name for each in fields(Options)])
def test_an_adapter_takes_no_option_of_a_wrong_type(
    tmp_path: Path, name: str, value: str
) -> None:
    """An option with a value of a wrong type is refused by its name."""
    path = written(tmp_path, **{f"options__{name}": value})

    assert any(name in fault for fault in faults(path))
