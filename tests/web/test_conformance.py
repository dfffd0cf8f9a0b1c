"""
The documents of this server: what its statement names can be read here.

https://hl7.org/fhir/R4/conformance-module.html
"""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.cli import main
from fhir_gateway.fhir.implementation_guide import package
from fhir_gateway.fhir.publication import published_resources
from fhir_gateway.fhir.vocabulary import ERROR_CODE, STATISTICS, Vocabulary

from .running import BASE_URL

_BASE: Final = "https://fhir-gateway.example.org"


def refused(response: TestResponse) -> tuple[int, str]:
    """Return the status and the code of the one issue of a refusal."""
    outcome: Any = response.json
    (issue,) = outcome["issue"]
    return response.status_code, issue["code"]


def canonicals(statement: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the type and the URL of each canonical in a CapabilityStatement."""
    named = {("ImplementationGuide", url) for url in statement["implementationGuide"]}
    for resource in statement["rest"][0]["resource"]:
        named |= {
            ("StructureDefinition", url) for url in resource.get("supportedProfile", ())
        }
        named |= {
            ("SearchParameter", each["definition"])
            for each in resource.get("searchParam", ())
            if "definition" in each
        }
        named |= {
            ("OperationDefinition", each["definition"])
            for each in resource.get("operation", ())
        }
    return named


def test_every_canonical_in_the_statement_is_published(
    client: FlaskClient,
) -> None:
    """Each profile, parameter and operation that the statement names can be read."""
    statement = client.get("/fhir/metadata").json
    assert statement is not None
    published = published_resources((), base_url=BASE_URL, vocabulary=Vocabulary())[0]

    missing = [
        url
        for kind, url in sorted(canonicals(statement))
        if (found := published.of_canonical(kind, url)) is None
        or client.get(f"/fhir/{kind}/{found.id}").json != found.resource()
    ]
    assert missing == []


def test_an_own_profile_is_read(client: FlaskClient) -> None:
    """A profile is read by its id, whole."""
    profile = client.get("/fhir/StructureDefinition/slot").json

    assert profile is not None
    assert (profile["url"], profile["type"]) == (
        f"{_BASE}/StructureDefinition/slot",
        "Slot",
    )
    assert profile["snapshot"]["element"]


def test_a_map_of_a_source_is_read(client: FlaskClient) -> None:
    """The ConceptMap of a configured source is read."""
    resource = client.get("/fhir/ConceptMap/time-types-norr").json

    assert resource is not None
    assert resource["url"] == f"{_BASE}/ConceptMap/time-types-norr"
    assert resource["group"]


def test_the_endpoint_has_the_address_of_clients(client: FlaskClient) -> None:
    """The one Endpoint is this server, with its formats; no region's is shown."""
    endpoint = client.get("/fhir/Endpoint/fhir").json
    statement = client.get("/fhir/metadata").json

    assert endpoint is not None
    assert statement is not None
    assert endpoint["address"] == BASE_URL
    assert endpoint["payloadMimeType"] == [
        each for each in statement["format"] if "/" in each
    ]


@pytest.mark.parametrize("kind", ["StructureDefinition", "ConceptMap", "Endpoint"])
def test_what_is_not_published_is_not_found(client: FlaskClient, kind: str) -> None:
    """An id that nothing has is answered 404."""
    response = client.get(f"/fhir/{kind}/nothing")

    assert refused(response) == (404, "not-found")


def test_another_base_is_in_every_own_canonical() -> None:
    """An installation's own base replaces ours, but in the system of error codes."""
    vocabulary = Vocabulary("https://fhir.example.se")
    published, _ = published_resources((), base_url=BASE_URL, vocabulary=vocabulary)

    profile = published.find("StructureDefinition", "slot")
    codes = published.find("CodeSystem", "error-code")
    assert profile is not None
    assert codes is not None
    assert profile.url == "https://fhir.example.se/StructureDefinition/slot"
    assert codes.url == ERROR_CODE
    assert _BASE.encode() not in json.dumps(profile.resource()).encode()


def test_the_package_has_its_manifest_and_its_index(client: FlaskClient) -> None:
    """The package is one that FHIR tools install: a manifest, an index, the files."""
    response = client.get("/fhir/package.tgz")

    with tarfile.open(fileobj=io.BytesIO(response.data)) as archive:
        names = archive.getnames()
        files = {
            name: json.loads(archive.extractfile(name).read())  # type: ignore[union-attr] # each member is a file
            for name in names
        }
    manifest = files["package/package.json"]
    assert manifest["fhirVersions"] == ["4.0.1"]
    assert manifest["canonical"] == _BASE
    assert {
        f"package/{each['filename']}" for each in files["package/.index.json"]["files"]
    } == {
        name
        for name in names
        if name.count("/") == 1
        and name not in ("package/package.json", "package/.index.json")
    }
    assert "package/StructureDefinition-slot.json" in names
    assert "package/ImplementationGuide-fhir-gateway.json" in names


def test_the_package_has_the_same_bytes_each_time() -> None:
    """The bytes of the package depend on nothing but its content."""
    assert package(Vocabulary()) == package(Vocabulary())


def test_the_command_writes_what_is_served(client: FlaskClient, tmp_path: Path) -> None:
    """`make profiles` writes the package that the server gives."""
    file = tmp_path / "build" / "package.tgz"
    result = CliRunner().invoke(main, ["profiles-package", "--to", str(file)])

    assert result.exit_code == 0, result.output
    assert file.read_bytes() == client.get("/fhir/package.tgz").data


def test_the_package_is_not_sent_twice(client: FlaskClient) -> None:
    """A client that has the package already is answered 304."""
    first = client.get("/fhir/package.tgz")
    second = client.get(
        "/fhir/package.tgz", headers={"If-None-Match": first.headers["ETag"]}
    )

    assert (second.status_code, second.data) == (304, b"")


def test_terminology_capabilities_are_a_mode_of_the_metadata(
    client: FlaskClient,
) -> None:
    """A client learns which code systems this server knows."""
    described = client.get("/fhir/metadata?mode=terminology").json

    assert described is not None
    assert described["resourceType"] == "TerminologyCapabilities"
    assert [each["uri"] for each in described["codeSystem"]] == [
        "http://snomed.info/sct",
        ERROR_CODE,
        STATISTICS,
    ]


def test_the_full_mode_is_the_usual_one(client: FlaskClient) -> None:
    """The mode that R4 presumes can be named."""
    assert (
        client.get("/fhir/metadata?mode=full").json == client.get("/fhir/metadata").json
    )


def test_the_normative_mode_has_the_normative_types(client: FlaskClient) -> None:
    """The mode `normative` shows the types that are normative in R4."""
    statement = client.get("/fhir/metadata?mode=normative").json

    assert statement is not None
    assert {each["type"] for each in statement["rest"][0]["resource"]} == {
        *("StructureDefinition", "OperationDefinition", "CodeSystem", "ValueSet")
    }


def test_another_mode_is_refused(client: FlaskClient) -> None:
    """A mode that R4 does not have is answered 400."""
    assert refused(client.get("/fhir/metadata?mode=other")) == (400, "value")


def found(client: FlaskClient, path: str) -> list[str]:
    """Return the ids that a search finds."""
    bundle: Any = client.get(f"/fhir/{path}").json
    assert bundle["resourceType"] == "Bundle", bundle
    entries = bundle.get("entry", ())
    assert bundle["total"] == len(entries)
    return [each["resource"]["id"] for each in entries]


_CT: Final = "http://terminology.hl7.org/CodeSystem/usage-context-type"


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        (f"StructureDefinition?url={_BASE}/StructureDefinition/slot", ["slot"]),
        ("StructureDefinition?_id=slot,schedule&_sort=-_id", ["slot", "schedule"]),
        ("StructureDefinition?type=Slot&kind=resource&version=0.1.0", ["slot"]),
        (
            "StructureDefinition?base=http://hl7.org/fhir/StructureDefinition/Schedule",
            ["schedule"],
        ),
        ("StructureDefinition?name:contains=region", ["region-message"]),
        (
            "SearchParameter?code=time-of-day&base=Slot&status=active",
            ["slot-time-of-day"],
        ),
        (
            "SearchParameter?url=http://hl7.org/fhir/SearchParameter/Slot-start",
            ["Slot-start"],
        ),
        ("OperationDefinition?code=translate", ["ConceptMap-translate"]),
        ("ImplementationGuide?title:contains=booking", ["fhir-gateway"]),
        (f"CodeSystem?system={ERROR_CODE}", ["error-code"]),
        (f"CodeSystem?context-type-value={_CT}|focus$OperationOutcome", ["error-code"]),
        ("CodeSystem?content-mode=supplement", ["standard-time-types-supplement"]),
        (
            "CodeSystem?supplements=http://snomed.info/sct&language=sv",
            ["standard-time-types-supplement"],
        ),
        ("ValueSet?context-type-value=focus$Slot", ["standard-time-types"]),
        ("ValueSet?code=72791000052103", ["standard-time-types"]),
        (
            f"ConceptMap?source-system={_BASE}/CodeSystem/time-types-SE2321009901-1001",
            ["time-types-norr"],
        ),
        ("Endpoint?connection-type=hl7-fhir-rest&status=active", ["fhir"]),
        ("Endpoint?status=off", []),
    ],
)
def test_documents_are_searched(client: FlaskClient, path: str, ids: list[str]) -> None:
    """R4's parameters of each type find what fits."""
    assert found(client, path) == ids


@pytest.mark.parametrize(
    "path",
    [
        "StructureDefinition?path=Slot.start",
        "ConceptMap?jurisdiction=SE",
        "CodeSystem?context-type-value=focus",
        "CodeSystem?status=other",
        "Endpoint?url=x",
    ],
)
def test_what_a_search_of_documents_does_not_take_is_refused(
    client: FlaskClient, path: str
) -> None:
    """An unknown parameter, and a value that cannot be, are answered 400."""
    assert client.get(f"/fhir/{path}").status_code == 400


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ("2026-11-24", lambda day: day == "2026-11-24"),
        ("eq2026-11", lambda day: day[:7] == "2026-11"),
        ("ne2026-11-24", lambda day: day != "2026-11-24"),
        ("ne2026-11-23,ne2026-11-24", lambda _: True),
        ("2026-11-23,2026-11-28", lambda day: day in ("2026-11-23", "2026-11-28")),
        ("gt2026-11-24", lambda day: day > "2026-11-24"),
        ("ge2026-11-24", lambda day: day >= "2026-11-24"),
        ("lt2026-11-24", lambda day: day < "2026-11-24"),
        ("le2026-11-24", lambda day: day <= "2026-11-24"),
        ("sa2026-11-24", lambda day: day > "2026-11-24"),
        ("eb2026-11-24", lambda day: day < "2026-11-24"),
        # A day lies on both sides of its noon.
        ("gt2026-11-24T12:00:00", lambda day: day >= "2026-11-24"),
        ("lt2026-11-24T12:00:00", lambda day: day <= "2026-11-24"),
        ("sa2026-11-24T12:00:00", lambda day: day > "2026-11-24"),
        ("2026-11-24T12:00:00", lambda _: False),
        ("ne2026-11-24T12:00:00", lambda _: True),
    ],
)
def test_documents_are_searched_by_their_day(
    client: FlaskClient, asked: str, fits: Callable[[str], bool]
) -> None:
    """A document's date is a whole day, and each prefix of R4 but `ap` compares it."""
    dates = {
        each["resource"]["id"]: each["resource"]["date"]
        for each in client.get("/fhir/StructureDefinition?_count=1000").json["entry"]
    }
    found: Any = client.get(
        "/fhir/StructureDefinition", query_string={"date": asked, "_count": "1000"}
    ).json

    assert {each["resource"]["id"] for each in found.get("entry", ())} == {
        identifier for identifier, date in dates.items() if fits(date)
    }
    assert len(set(dates.values())) > 1


def test_an_approximate_date_is_refused_with_the_prefixes(client: FlaskClient) -> None:
    """R4 leaves `ap` open; the refusal names each prefix that there is."""
    response = client.get("/fhir/CodeSystem?date=ap2026-11-24")

    assert refused(response) == (400, "value")
    assert "eq, ne, gt, lt, ge, le, sa, eb, or none" in response.text


def test_every_document_is_on_one_page(client: FlaskClient) -> None:
    """The pages of a search have each document once."""
    url: str | None = "/fhir/SearchParameter?_count=50"
    ids: list[str] = []
    while url is not None:
        bundle: Any = client.get(url.removeprefix(BASE_URL.removesuffix("/fhir"))).json
        ids.extend(each["resource"]["id"] for each in bundle["entry"])
        following = {each["relation"]: each["url"] for each in bundle["link"]}
        url = following.get("next")

    assert len(ids) == len(set(ids)) == bundle["total"] > 100
