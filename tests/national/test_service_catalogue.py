"""
The adapter for the service catalogue, over real SOAP to the sandbox's platform.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fhir_gateway.configured_files import WrongFiles, read_sources
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.errors import SourceFault, Unavailable
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.national.service_catalogue import (
    ServiceCatalogue20,
    WrongServiceCatalogues,
    load_service_catalogues,
)
from fhir_gateway.sandbox.server import SandboxServer

EVERYTHING = frozenset(UnitAbility)
NORR, MITT = SourceName("norr"), SourceName("mitt")
STRANGER = HsaId("SE0000000000-1")
TIMEOUT_S = 10


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=1) as server:
        yield server


@pytest.fixture(name="platform")
def _platform(server: SandboxServer) -> Iterator[SandboxServer]:
    yield server
    behave(server)
    for where in ("platform", "catalogue"):
        requests.delete(f"{server.url}/faults/{where}", timeout=TIMEOUT_S)


def behave(server: SandboxServer, **options: object) -> None:
    """Let the platform behave so from now on."""
    answer = requests.put(f"{server.url}/platform", json=options, timeout=TIMEOUT_S)
    assert answer.status_code == 200


def fault(server: SandboxServer, where: str, **rule: object) -> None:
    """Order a fault."""
    answer = requests.post(f"{server.url}/faults/{where}", json=rule, timeout=TIMEOUT_S)
    assert answer.status_code == 201


def file(folder: Path, **settings: object) -> Path:
    """Write a file of sources with a service catalogue."""
    path = folder / "sources.toml"
    lines = "".join(
        f"{name} = {value!r}\n".replace("'", '"') for name, value in settings.items()
    )
    path.write_text(f"[service_catalogues.national]\n{lines}", encoding="utf-8")
    return path


def catalogue(
    folder: Path, server: SandboxServer, questions: str = "by-contract"
) -> ServiceCatalogue20:
    """Return the adapter, configured as an operator does it."""
    path = file(
        folder,
        endpoint=server.endpoint("platform"),
        consumer="SE2321009900-GATEWAY",
        questions=questions,
        timeout_s=2,
    )
    (configured,) = load_service_catalogues(path, [NORR])
    return ServiceCatalogue20(configured.name, configured.options)


@pytest.mark.parametrize("questions", ["by-contract", "by-unit"])
def test_a_lack_is_known(
    platform: SandboxServer, tmp_path: Path, questions: str
) -> None:
    """A unit with a contract less lacks that ability; a stranger is not known."""
    whole, lacking = (unit.hsa_id for unit in platform.regions()[0].units[:2])
    behave(platform, lacks={lacking: ["CancelBooking", "UpdateBooking"]})

    known = catalogue(tmp_path, platform, questions).abilities(
        [whole, lacking, STRANGER]
    )

    assert known == {
        whole: EVERYTHING,
        lacking: {UnitAbility.BOOK, UnitAbility.LIST},
    }


@pytest.mark.parametrize("questions", ["by-contract", "by-unit"])
def test_a_unit_that_we_may_not_ask_is_not_known(
    platform: SandboxServer, tmp_path: Path, questions: str
) -> None:
    """The catalogue answers what the consumer may call: nothing, as for a stranger."""
    unit = platform.regions()[0].units[0].hsa_id
    behave(platform, unauthorised=[unit])

    assert catalogue(tmp_path, platform, questions).abilities([unit]) == {}


def test_a_contract_that_nobody_has_is_not_believed(
    platform: SandboxServer, tmp_path: Path
) -> None:
    """One fault of the catalogue must not stop every booking of the country."""
    units = [unit.hsa_id for region in platform.regions() for unit in region.units]
    behave(platform, lacks={unit: ["MakeBooking"] for unit in units})

    known = catalogue(tmp_path, platform).abilities(units)

    assert set(known.values()) == {EVERYTHING}


@pytest.mark.parametrize("where", ["platform", "catalogue"])
@pytest.mark.parametrize("questions", ["by-contract", "by-unit"])
@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("vp-fault", SourceFault),
        ("wrong-status", SourceFault),
        ("deliver-nothing", SourceFault),
        ("refuse", (SourceFault, Unavailable)),
        ("hang", (SourceFault, Unavailable)),
    ],
)
def test_a_catalogue_that_is_away_says_nothing(
    platform: SandboxServer,
    tmp_path: Path,
    *,
    where: str,
    questions: str,
    kind: str,
    raised: Any,
) -> None:
    """Its failure is an error, never an answer that looks like a lack."""
    unit = platform.regions()[0].units[0].hsa_id
    behave(platform, platform_timeout_s=0.2)
    fault(platform, where, fault=kind, **({"seconds": 2.2} if kind == "hang" else {}))

    with pytest.raises(raised):
        catalogue(tmp_path, platform, questions).abilities([unit])


def test_a_ping_says_what_answers_there(
    platform: SandboxServer, tmp_path: Path
) -> None:
    """The version is for the operator's log."""
    assert catalogue(tmp_path, platform).version() == "fhir-gateway-sandbox"


def test_every_fault_of_the_settings_is_named(tmp_path: Path) -> None:
    """The operator mends all at once."""
    path = file(
        tmp_path,
        endpoint="ftp://x",
        consumer="å",
        questions="other",
        asked_every_s=1,
        more=1,
        sources=["nowhere"],
    )

    with pytest.raises(WrongServiceCatalogues) as raised:
        load_service_catalogues(path, [NORR])

    named = [
        each.partition(":")[0].removeprefix("service_catalogues.national.")
        for each in raised.value.faults
    ]
    assert sorted(named) == [
        "asked_every_s",
        "consumer",
        "endpoint",
        "more",
        "questions",
    ]


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    """So a slip of the pen does not leave a source without its catalogue."""
    path = file(
        tmp_path, endpoint="http://127.0.0.1:1/", consumer="SE1", sources=["nowhere"]
    )

    with pytest.raises(WrongServiceCatalogues) as raised:
        load_service_catalogues(path, [NORR])

    assert raised.value.faults == (
        "service_catalogues.national.sources: there is no source nowhere",
    )


def test_a_source_has_one_catalogue(tmp_path: Path) -> None:
    """Two could contradict each other."""
    path = file(tmp_path, endpoint="http://127.0.0.1:1/", consumer="SE1")
    path.write_text(
        path.read_text("utf-8")
        + '[service_catalogues.other]\nendpoint = "http://127.0.0.1:1/"\n'
        'consumer = "SE1"\nsources = ["mitt"]\n',
        encoding="utf-8",
    )

    with pytest.raises(WrongServiceCatalogues) as raised:
        load_service_catalogues(path, [NORR, MITT])

    assert raised.value.faults == (
        "service_catalogues.other.sources: mitt has the catalogue national already",
    )


def test_faults_of_sources_and_catalogues_are_named_together(tmp_path: Path) -> None:
    """One file, one list of faults."""
    path = file(tmp_path, endpoint="http://127.0.0.1:1/", sources=["nowhere"])
    path.write_text(
        path.read_text("utf-8") + "[sources.norr]\ncolour = 1\n", encoding="utf-8"
    )

    with pytest.raises(WrongFiles) as raised:
        read_sources(path, Vocabulary())

    named = [each.removeprefix(f"{path}: ") for each in raised.value.faults]
    assert "sources.norr.colour: is no setting of a source" in named
    assert (
        "service_catalogues.national.consumer: Missing data for required field."
        in named
    )
