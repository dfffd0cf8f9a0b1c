"""
What the tests of the contracts share: recorded messages and the schemas.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

TESTS = Path(__file__).parents[1]
SCHEMAS = "../shared/schemas/crm_scheduling_1.1.1"
LOG_SCHEMAS = "../shared/schemas/informationsecurity_auditing_log_2.0"
REGISTRY_SCHEMAS = "../shared/schemas/infrastructure_itintegration_registry"
MONITORING_SCHEMAS = "../shared/schemas/itintegration_monitoring_1.0"
INDEX_SCHEMAS = "../shared/schemas/itintegration_engagementindex_1.0"

Recorded = Callable[[str], bytes]
Canonical = Callable[[bytes], str]
Validate = Callable[[etree._Element], list[str]]


@pytest.fixture(name="recorded", scope="session")
def _recorded() -> Recorded:
    """Return the reader of a recorded message, as `MakeBooking.whole.request`."""

    def read(name: str) -> bytes:
        return (TESTS / "data" / "rivta" / f"{name}.xml").read_bytes()

    return read


@pytest.fixture(name="canonical", scope="session")
def _canonical() -> Canonical:
    """Return the writer of a document's canonical form (C14N 2.0)."""

    def canonical(document: bytes) -> str:
        # Prefixes and indentation mean nothing: each writer chooses its own.
        canonical: str = etree.canonicalize(
            etree.fromstring(document), strip_text=True, rewrite_prefixes=True
        )
        return canonical

    return canonical


class _Mended(etree.Resolver):
    """
    Serves the schemas with their one known defect mended.

    The pattern of `SubjectOfCareIdType` is written with `^` and `$`, which XSD takes
    for characters: as it stands no personal number is valid.
    """

    def __init__(self) -> None:
        self.mended: list[str] = []

    def resolve(self, system_url: str, public_id: str, context: object) -> object:  # type: ignore[override] # lxml-stubs lack the context  # noqa: ARG002 - the signature is lxml's
        text = Path(system_url.removeprefix("file://")).read_bytes()
        patched = text.replace(
            b'"^[0-9]{8}[0-9pPtTfF][0-9]{3}$"', b'"[0-9]{8}[0-9pPtTfF][0-9]{3}"'
        )
        if patched != text:
            self.mended.append(system_url)
        return self.resolve_string(patched, context, base_url=system_url)


@pytest.fixture(name="validate", scope="session")
def _validate() -> Validate:
    """Return a function that lists what the schemas have against an element."""
    folder = Path(os.environ.get("RIVTA_SCHEMAS", TESTS.parent / SCHEMAS)).resolve()
    if not folder.is_dir():  # pragma: no cover - depends on the machine
        pytest.skip(f"no schemas in {SCHEMAS} or in RIVTA_SCHEMAS")
    schemas: dict[str, etree.XMLSchema] = {}
    mended = False
    for path in sorted(folder.rglob("*.xsd")):
        parser = etree.XMLParser(no_network=True)
        resolver = _Mended()
        parser.resolvers.add(resolver)
        tree = etree.parse(str(path), parser)
        schemas[tree.getroot().get("targetNamespace", "")] = etree.XMLSchema(tree)
        mended = mended or bool(resolver.mended)
    assert mended, "the schemas no longer have the pattern that is mended here"

    return _validator(schemas)


@pytest.fixture(name="validate_log", scope="session")
def _validate_log() -> Validate:
    """Return a function that lists what StoreLog's schemas have against an element."""
    return _validator(_schemas(LOG_SCHEMAS, "RIVTA_LOG_SCHEMAS"))


@pytest.fixture(name="validate_index", scope="session")
def _validate_index() -> Validate:
    """Return a function that lists what the index's schemas have against an element."""
    return _validator(_schemas(INDEX_SCHEMAS, "RIVTA_INDEX_SCHEMAS"))


@pytest.fixture(name="validate_catalogue", scope="session")
def _validate_catalogue() -> Validate:
    """Return a function that lists what the schemas have against an element."""
    return _validator(
        _schemas(REGISTRY_SCHEMAS, "RIVTA_REGISTRY_SCHEMAS")
        | _schemas(MONITORING_SCHEMAS, "RIVTA_MONITORING_SCHEMAS")
    )


def _schemas(beside: str, variable: str) -> dict[str, etree.XMLSchema]:
    folder = Path(os.environ.get(variable, TESTS.parent / beside))
    if not folder.is_dir():  # pragma: no cover - depends on the machine
        pytest.skip(f"no schemas in {beside} or in {variable}")
    trees = [etree.parse(str(path)) for path in sorted(folder.rglob("*.xsd"))]
    return {
        tree.getroot().get("targetNamespace", ""): etree.XMLSchema(tree)
        for tree in trees
    }


def _validator(schemas: dict[str, etree.XMLSchema]) -> Validate:
    def validate(element: etree._Element) -> list[str]:
        schema = schemas[element.tag[1:].partition("}")[0]]
        try:
            schema.assertValid(etree.fromstring(etree.tostring(element)))
        except etree.DocumentInvalid as error:
            return [str(error)]
        return []

    return validate
