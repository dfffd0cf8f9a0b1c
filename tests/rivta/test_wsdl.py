"""
The WSDL that this program serves says what the contract's own says.
"""

import os
from pathlib import Path
from typing import Final

import pytest
from lxml import etree

from fhir_gateway.rivta.engagement_index_1_0.process_notification import CONTRACT
from fhir_gateway.rivta.wsdl import wsdl

from .conftest import INDEX_SCHEMAS, TESTS

URL: Final = "https://gateway.example.org/rivta/notify"
WSDL: Final = "{http://schemas.xmlsoap.org/wsdl/}"
XS: Final = "{http://www.w3.org/2001/XMLSchema}"


@pytest.fixture(name="folder")
def _folder() -> Path:
    folder = Path(os.environ.get("RIVTA_INDEX_SCHEMAS", TESTS.parent / INDEX_SCHEMAS))
    if not folder.is_dir():  # pragma: no cover - depends on the machine
        pytest.skip(f"no schemas in {INDEX_SCHEMAS} or in RIVTA_INDEX_SCHEMAS")
    return folder


def interface(root: etree._Element) -> list[tuple[str, dict[str, str]]]:
    """Return the elements of messages, port type, binding and service, in order."""
    return [
        (each.tag, {**each.attrib})
        for part in root
        if part.tag != f"{WSDL}types"
        for each in part.iter(f"{WSDL}*", "{http://schemas.xmlsoap.org/wsdl/soap/}*")
        if not each.tag.endswith(("documentation", "address"))
    ]


def sequences(root: etree._Element) -> set[tuple[tuple[str, str], ...]]:
    """Return the elements of each type, with whether each must be there."""
    return {
        tuple(
            (each.get("name", ""), each.get("minOccurs", "1"))
            for each in sequence.iter(f"{XS}element")
        )
        for sequence in root.iter(f"{XS}sequence")
    }


def test_the_interface_is_the_contracts(folder: Path) -> None:
    """Names, bindings, headers and SOAPAction are those of the contract's own WSDL."""
    (path,) = folder.rglob("ProcessNotification*.wsdl")
    own, theirs = etree.fromstring(wsdl(CONTRACT, URL)), etree.parse(path).getroot()

    assert own.get("targetNamespace") == theirs.get("targetNamespace")
    assert interface(own) == interface(theirs)


def test_the_types_are_the_contracts(folder: Path) -> None:
    """Each type has the schema's elements, in their order."""
    theirs = set()
    for name in ("ProcessNotificationResponder_1.0.xsd", "*engagementindex_1.0.xsd"):
        (path,) = folder.rglob(name)
        theirs |= sequences(etree.parse(path).getroot())

    assert sequences(etree.fromstring(wsdl(CONTRACT, URL))) == theirs


def test_the_address_is_ours() -> None:
    """A consumer learns where to post."""
    root = etree.fromstring(wsdl(CONTRACT, URL))

    assert [each.get("location") for each in root.iter("{*}address")] == [URL]
