"""
What the documentation lists is what the code has.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from fuzz.tries import CLASSES
from lxml import etree
from marshmallow import Schema
from pem import write_certificate

from fhir_gateway.access.issuer_schema import (
    ClaimsSchema,
    ClientSchema,
    IssuerSchema,
)
from fhir_gateway.access.issuers import load_issuers
from fhir_gateway.adapters.scheduling_1_1.options import Options
from fhir_gateway.adapters.source_schema import SourceSchema, UnitSchema
from fhir_gateway.adapters.sources import load_sources
from fhir_gateway.adapters.store_log.options import (
    LogServiceSchema,
    log_service_options,
)
from fhir_gateway.fhir import limits
from fhir_gateway.fhir.appointment_operation import BOOK, CANCEL, HOLD, RESCHEDULE
from fhir_gateway.fhir.find_request import FIND
from fhir_gateway.fhir.search_schema import SearchSchema
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.national.engagement_index.options import (
    EngagementIndexSchema,
    engagement_index_options,
)
from fhir_gateway.sandbox.catalogue import DEFAULT_SLOTS, regions
from fhir_gateway.sandbox.fault_rule import FaultKind
from fhir_gateway.sandbox.issuer.persons import PERSONS
from fhir_gateway.sandbox_sources import (
    sources_toml,
    write_issuers,
    write_log_service,
)
from fhir_gateway.settings import ENVIRONMENT
from fhir_gateway.stores.journal import Alarm
from fhir_gateway.web.appointment_query import AppointmentSearchSchema
from fhir_gateway.web.audit_event import AuditEventSearchSchema
from fhir_gateway.web.directory.routes import directory_schemas
from fhir_gateway.web.slot_query import SlotSearchSchema

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES: Final = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
DECISIONS: Final = sorted((DOCS / "adr").glob("*.md"))
HEADINGS: Final = [
    "Context",
    "Options considered",
    "Decision",
    "Status",
    "Consequences",
]


def _first_cells(page: str) -> set[str]:
    """Return what the rows of a page's tables are about: the code in first cells."""
    return {
        code
        for line in (DOCS / page).read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    }


def _section(page: str, heading: str) -> str:
    """Return what stands under a heading, up to the next of the same level."""
    text = (DOCS / page).read_text(encoding="utf-8")
    level = heading.split(" ", maxsplit=1)[0]
    return text.split(f"\n{heading}\n", 1)[1].split(f"\n{level} ", 1)[0]


def _package(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return match[0]


def _packages() -> Iterable[str]:
    project = PROJECT["project"]
    listed = [
        *PROJECT["build-system"]["requires"],
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    return sorted({_package(each) for each in listed} - {project["name"]})


def _npm_packages() -> Iterable[str]:
    found = set()
    for path in ROOT.glob("tests/*/package.json"):
        package = json.loads(path.read_text(encoding="utf-8"))
        found.update(package.get("dependencies", {}))
        found.update(package.get("devDependencies", {}))
    return sorted(found)


def _maven_packages() -> Iterable[str]:
    return sorted(
        element.text or ""
        for path in ROOT.glob("tests/validators/*/pom.xml")
        for element in etree.parse(path).iterfind(".//{*}dependency/{*}artifactId")
    )


def _entry_points() -> Iterable[str]:
    project = PROJECT["project"]
    groups: Mapping[str, Mapping[str, str]] = project["entry-points"]
    return sorted(
        [
            *project["scripts"],
            *groups,
            *(one for group in groups.values() for one in group),
        ]
    )


def _parameters(schema: SearchSchema[Any]) -> Iterable[str]:
    return [field.data_key or name for name, field in schema.fields.items()]


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_each_setting_has_a_row(name: str) -> None:
    """Every setting of the environment has a row in the configuration's page."""
    assert name in _first_cells("configuration.md")


def test_every_limit_of_a_request_is_documented() -> None:
    """The page of settings says the number of every limit, and no other."""
    rows = re.findall(
        r"^\| .+ \| ([0-9,]+) \| [0-9]{3} \|$",
        _section("configuration.md", "## Limits"),
        re.MULTILINE,
    )

    assert sorted(int(row.replace(",", "")) for row in rows) == sorted(
        getattr(limits, name) for name in limits.__all__
    )


def test_no_setting_is_made_up() -> None:
    """Every variable that the configuration's page lists is one of the settings."""
    rows = re.findall(
        r"^\| `([A-Z_]+)`", _section("configuration.md", "## Environment"), re.MULTILINE
    )

    assert sorted(rows) == sorted(ENVIRONMENT)


@pytest.mark.parametrize("name", SourceSchema().fields)
def test_each_key_of_a_source_has_a_row(name: str) -> None:
    """Every key of a source's table has a row in the configuration's page."""
    assert name in _first_cells("configuration.md")


@pytest.mark.parametrize("name", UnitSchema().fields)
def test_each_key_of_a_unit_has_a_row(name: str) -> None:
    """Every key of a unit's table has a row in the configuration's page."""
    assert f"\n| `{name}` |" in _section("configuration.md", "### Units")


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        *(("### Issuers", name) for name in IssuerSchema().fields),
        *(("### Claims", name) for name in ClaimsSchema().fields),
        *(("### Clients", name) for name in ClientSchema().fields),
    ],
)
def test_each_key_of_the_file_of_issuers_has_a_row(heading: str, name: str) -> None:
    """Every key of the tables of issuers and clients has a row under its heading."""
    assert f"\n| `{name}` |" in _section("configuration.md", heading)


def test_the_example_of_issuers_can_be_loaded(tmp_path: Path) -> None:
    """The configuration page's example is a file of issuers that can be used."""
    section = _section("configuration.md", "## The file of issuers")
    (example,) = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    path = tmp_path / "issuers.toml"
    path.write_text(example, encoding="utf-8")

    trusted = load_issuers(path, audience="https://gateway.example.org/fhir")

    assert [each.issuer for each in trusted.issuers] == ["https://idp.example.org"]
    assert [each.id for each in trusted.clients] == ["region-norr", "drift"]


@pytest.mark.parametrize("name", Options.__slots__)
def test_each_option_has_a_row(name: str) -> None:
    """Every option of the built-in adapter has a row in the configuration's page."""
    assert f"\n| `{name}` |" in _section(
        "configuration.md", "### Options of `scheduling_1_1`"
    )


@pytest.mark.parametrize(
    ("file", "schema"),
    [("log service", LogServiceSchema), ("engagement index", EngagementIndexSchema)],
)
def test_the_keys_of_a_service_are_documented(file: str, schema: type[Schema]) -> None:
    """The table of its file has a row for each key, and no other."""
    section = _section("configuration.md", f"## The file of the {file}")

    assert set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)) == set(
        schema().fields
    )


def _example_of(file: str, folder: Path) -> Path:
    """Return the configuration page's example of a file, with certificates."""
    section = _section("configuration.md", f"## The file of the {file}")
    example = section.split("```toml\n", 1)[1].split("```", 1)[0]
    certificate = write_certificate(folder / "gateway.pem")
    for name in ("gateway", "trusted"):
        example = example.replace(f"/etc/fhir-gateway/tls/{name}.pem", str(certificate))
    path = folder / "example.toml"
    path.write_text(example, encoding="utf-8")
    return path


def test_the_example_of_a_log_service_can_be_loaded(tmp_path: Path) -> None:
    """The configuration page's example is a file that can be used."""
    options = log_service_options(_example_of("log service", tmp_path))

    assert options.system_name == "fhir-gateway"


def test_the_example_of_an_engagement_index_can_be_loaded(tmp_path: Path) -> None:
    """The configuration page's example is a file that can be used."""
    options = engagement_index_options(_example_of("engagement index", tmp_path))

    assert options.notifiers == {"SE165565594230-1000"}


def test_the_example_of_a_region_can_be_loaded(tmp_path: Path) -> None:
    """The configuration page's example is a file of sources that can be used."""
    section = _section(
        "configuration.md", "## A region behind the national service platform"
    )
    example = section.split("```toml\n", 1)[1].split("```", 1)[0]
    path = tmp_path / "sources.toml"
    certificate = write_certificate(tmp_path / "gateway.pem")
    for name in ("gateway", "trusted"):
        example = example.replace(f"/etc/fhir-gateway/tls/{name}.pem", str(certificate))
    path.write_text(example, encoding="utf-8")
    (tmp_path / "ConceptMap-time-types-prov.json").touch()

    configured = load_sources(path)

    assert [str(each.source.name) for each in configured] == ["prov"]
    for each in configured:
        each.adapter.close()


@pytest.mark.parametrize("name", _packages())
def test_each_dependency_has_its_reason(name: str) -> None:
    """Every dependency of pyproject.toml has a row in the dependencies' page."""
    assert name in _first_cells("dependencies.md")


@pytest.mark.parametrize("name", _npm_packages())
def test_each_npm_dependency_has_its_reason(name: str) -> None:
    """Every npm dependency of the tests has a row in the dependencies' page."""
    assert name in _first_cells("dependencies.md")


@pytest.mark.parametrize("name", _maven_packages())
def test_each_maven_dependency_has_its_reason(name: str) -> None:
    """Every Maven dependency of the tests has a row in the dependencies' page."""
    assert name in _first_cells("dependencies.md")


@pytest.mark.parametrize(
    ("page", "name"),
    [
        pytest.param(page, name, id=f"{page} {name}")
        for page, schema in (
            ("slot-search", SlotSearchSchema()),
            ("healthcare-service-search", directory_schemas()["HealthcareService"]),
            ("appointment-search", AppointmentSearchSchema()),
            ("audit-event", AuditEventSearchSchema()),
        )
        for name in _parameters(schema)
    ],
)
def test_each_search_parameter_is_on_its_page(page: str, name: str) -> None:
    """Every search parameter has a row on its interaction's page, as supported."""
    text = (DOCS / "interactions" / f"{page}.md").read_text(encoding="utf-8")

    assert re.search(
        rf"^\| `{re.escape(name)}` \| (?!not supported)", text, re.MULTILINE
    )


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "profiles").glob("OperationDefinition-*.json")),
    ids=lambda path: path.stem,
)
def test_the_page_of_capabilities_names_each_operation(path: Path) -> None:
    """Every operation that profiles/ defines is on the page of capabilities."""
    code = json.loads(path.read_text(encoding="utf-8"))["code"]
    page = (DOCS / "interactions" / "metadata.md").read_text(encoding="utf-8")

    assert f"`${code}`" in page


@pytest.mark.parametrize("name", _entry_points())
def test_each_entry_point_is_documented(name: str) -> None:
    """Every entry point and its group is in the page for those who add a region."""
    assert f"{name}" in (DOCS / "adding-a-region.md").read_text(encoding="utf-8")


def test_each_error_code_has_a_row() -> None:
    """Every error code is in one table of the errors' page, and no other code is."""
    page = _first_cells("interactions/errors.md")

    codes = {code for code in page if code.isupper()}
    assert codes == {code.value for code in ErrorCode}


def test_each_name_of_a_parameter_has_a_row() -> None:
    """Every name that an operation understands is in a table of its page."""
    names = {
        name
        for declared in (FIND, HOLD, BOOK, CANCEL, RESCHEDULE)
        for parameter in declared
        for name in parameter.names
    }

    assert names <= _first_cells("interactions/appointment-operations.md")


def test_the_classes_of_bad_input_are_those_of_make_fuzz() -> None:
    """The tests' page has each class with the number of its tries."""
    page = (DOCS / "testing.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| ([A-Za-z -]+) \| ([0-9,]+) \|", page)

    assert rows == [(each.name, f"{each.tries:,}") for each in CLASSES]


def test_each_class_of_bad_input_has_a_module() -> None:
    """Each module of the fuzz tests is a class of `make fuzz`, and the reverse."""
    folder = ROOT / "tests" / "fuzz"

    assert {path.stem for path in folder.glob("test_*.py")} == {
        f"test_{each.module}" for each in CLASSES
    }


@pytest.mark.parametrize("kind", FaultKind)
def test_each_fault_has_a_row(kind: FaultKind) -> None:
    """Every fault that a sandbox region can be asked for is in the tests' page."""
    assert kind.value in _first_cells("testing.md")


def test_each_proof_of_a_promise_is_a_test() -> None:
    """Every test that the page about booking names is there."""
    named = re.findall(r"`(test_\w+)`", (DOCS / "booking.md").read_text("utf-8"))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(
            r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE
        )
    }

    assert named
    assert [name for name in named if name not in there] == []


def test_each_proof_of_the_threat_model_is_there() -> None:
    """Every test that the threat model names is there under that name."""
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(
            r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE
        )
    }

    assert len(named) > 30
    assert named - there == set()


def test_each_alarm_has_a_row() -> None:
    """Operators find every alarm, and what to do about it."""
    rows = re.findall(
        r"^\| `(\w+)` \|", _section("booking.md", "## Alarms"), re.MULTILINE
    )

    assert sorted(rows) == sorted(each.value for each in Alarm)


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_each_adr_has_the_five_headings(path: Path) -> None:
    """Every ADR has context, options, decision, status and consequences."""
    text = path.read_text(encoding="utf-8")

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert text.startswith(f"# {path.name[:4]} ")


def test_adrs_are_numbered_in_order() -> None:
    """ADRs have the numbers from 0001 on, each once."""
    numbers = [path.name[:4] for path in DECISIONS]

    assert numbers == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(path: Path) -> None:
    """Every relative link in Markdown leads to a file that is there."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [
        link.partition("#")[0]
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:|#", link)
    ]

    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_to_an_adr_has_its_number(path: Path) -> None:
    """A link "ADR 0014" leads to that one."""
    links = re.findall(r"\[ADR (\d+)\]\(([^)]+)\)", path.read_text(encoding="utf-8"))

    assert [link for number, link in links if f"{number}-" not in link] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_block_of_json_is_json(path: Path) -> None:
    """Every block that is marked as JSON can be read as such."""
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"^```json\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        assert json.loads(block)


def test_the_containers_sources_are_what_the_generator_writes() -> None:
    """The container's file of sources is the generator's, with the ConceptMaps here."""
    expected = sources_toml(
        regions(DEFAULT_SLOTS),
        "http://127.0.0.1:8090",
        lambda region: f"../profiles/ConceptMap-time-types-{region.name}.json",
    )

    assert (ROOT / "docker" / "sources.toml").read_text(encoding="utf-8") == expected


def test_the_containers_issuer_is_what_the_generator_writes(tmp_path: Path) -> None:
    """The container trusts the sandbox's issuer, and logs at the sandbox."""
    written = [
        write_issuers(tmp_path, "http://127.0.0.1:8090", "http://127.0.0.1:8080/fhir"),
        write_log_service(tmp_path, "http://127.0.0.1:8090"),
    ]

    for path in written:
        there = ROOT / "docker" / path.name
        assert there.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def test_the_containers_sources_can_be_loaded() -> None:
    """The container's sources find their ConceptMaps where the image has them."""
    configured = load_sources(ROOT / "docker" / "sources.toml")

    assert [str(each.source.name) for each in configured] == ["norr", "mitt", "syd"]
    for each in configured:
        each.adapter.close()


@pytest.fixture(name="services", scope="module")
def _services() -> dict[str, Any]:
    text = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


def test_compose_has_four_services(services: dict[str, Any]) -> None:
    """Compose runs gateway, worker, Redis and sandbox."""
    assert sorted(services) == ["gateway", "redis", "sandbox", "worker"]


def test_compose_publishes_on_loopback_only(services: dict[str, Any]) -> None:
    """Compose publishes the gateway and the sandbox, and those on loopback alone."""
    published = {
        name: service["ports"]
        for name, service in services.items()
        if "ports" in service
    }

    assert published == {"sandbox": ["127.0.0.1:8080:8080", "127.0.0.1:8090:8090"]}


def test_gateway_and_worker_share_what_they_must(services: dict[str, Any]) -> None:
    """In compose, gateway and worker have the same journal, sources and Redis."""
    gateway, worker = services["gateway"], services["worker"]

    assert gateway["volumes"] == worker["volumes"]
    assert gateway["environment"] == worker["environment"]


def test_compose_sets_nothing_that_is_no_setting(services: dict[str, Any]) -> None:
    """Every variable that compose sets is one of the settings."""
    used = {
        name for service in services.values() for name in service.get("environment", {})
    }

    assert used <= set(ENVIRONMENT)


def test_the_image_sets_nothing_that_is_no_setting() -> None:
    """Every variable of ours that the image sets is one of the settings."""
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")

    assert set(re.findall(r"FHIR_GATEWAY_\w+(?==)", text)) <= set(ENVIRONMENT)


@pytest.mark.parametrize("name", [*PERSONS, "region-norr", "operator"])
def test_each_ready_made_person_has_a_row(name: str) -> None:
    """Everybody who has a token of the sandbox stands in the tests' page."""
    assert name in _first_cells("testing.md")


def test_no_lock_file_names_a_registry() -> None:
    """Lock files hold no address of a registry, so that any mirror will do."""
    for path in ROOT.glob("tests/*/package-lock.json"):
        assert '"resolved"' not in path.read_text(encoding="utf-8")


def test_the_collections_requests_all_assert() -> None:
    """Every request of the Postman collection checks its status and its content."""
    folder = ROOT / "tests" / "postman"
    text = (folder / "fhir-gateway.postman_collection.json").read_text(encoding="utf-8")
    weak = [
        name
        for name, script in _requests(json.loads(text)["item"])
        if "to.have.status(" not in script or script.count("pm.test(") < 2
    ]

    assert weak == []


def _requests(items: Iterable[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    for item in items:
        if "item" in item:
            yield from _requests(item["item"])
            continue
        scripts = [
            "\n".join(event["script"]["exec"])
            for event in item["event"]
            if event["listen"] == "test"
        ]
        yield item["name"], "\n".join(scripts)


def _rows(page: str, heading: str) -> list[list[str]]:
    """Return the code in the first cell of each row of the table under a heading."""
    return [
        re.findall(r"`([^`]+)`", line.split(" | ")[0])
        for line in _section(page, heading).splitlines()
        if line.startswith("| `")
    ]


def test_the_layers_are_those_that_the_linter_keeps() -> None:
    """The page lists the layers that import-linter checks, in the same order."""
    contract, *_ = (
        each
        for each in PROJECT["tool"]["importlinter"]["contracts"]
        if each["type"] == "layers"
    )

    assert _rows("architecture.md", "## Layers") == [
        layer.split(" | ") for layer in contract["layers"]
    ]


def test_every_room_is_listed() -> None:
    """The page lists each package within a layer, and no other."""
    package = ROOT / "fhir_gateway"

    assert sorted(
        name for row in _rows("architecture.md", "## Rooms") for name in row
    ) == sorted(
        path.parent.relative_to(package).as_posix()
        for path in package.glob("*/*/__init__.py")
    )


def test_every_file_of_the_five_tasks_exists() -> None:
    """Each path in a task's row is a file or folder of the project."""
    missing = [
        path
        for path in re.findall(
            r"`([^`]+)`", _section("architecture.md", "## Five tasks")
        )
        if not re.search("[<…]", path)
        and "/" in path.rstrip("/")
        and not (ROOT / path).exists()
        and not (ROOT / "fhir_gateway" / path).exists()
    ]

    assert missing == []
