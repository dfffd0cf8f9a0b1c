"""
The service catalogue's contracts: what is written, against their schemas.
"""

from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import (
    read_call,
    read_request,
    read_response,
    write_request,
    write_response,
)
from fhir_gateway.rivta.monitoring_1_0 import ping_for_configuration as ping
from fhir_gateway.rivta.registry_2_0 import (
    get_logical_addressees_by_service_contract as addressees,
)
from fhir_gateway.rivta.registry_2_0 import get_supported_service_contracts as supported
from fhir_gateway.rivta.registry_2_0.types import ServiceContractNamespaceType

from .conftest import Validate
from .test_schemas import URI, messages

CONTRACTS: list[Contract[Any, Any]] = [
    supported.CONTRACT,
    addressees.CONTRACT,
    ping.CONTRACT,
]
EVERY_CONTRACT = pytest.mark.parametrize(
    "contract", CONTRACTS, ids=lambda contract: contract.interaction.name
)
PING = st.builds(ping.Request, service_contract_namespace=URI, logical_address=URI)


def requests(contract: Contract[Any, Any]) -> st.SearchStrategy[Any]:
    """Return any request; of a ping both elements are URIs."""
    return PING if contract is ping.CONTRACT else messages(contract.request)


def faults(document: bytes, validate: Validate) -> list[str]:
    """Return what the schemas have against the parts of a message."""
    return [
        fault
        for part in etree.fromstring(document)
        for element in part
        for fault in validate(element)
    ]


@EVERY_CONTRACT
@settings(max_examples=examples(30), deadline=None)
@given(data=st.data())
def test_any_request_is_valid_and_reads_back(
    contract: Contract[Any, Any], data: st.DataObject, validate_catalogue: Validate
) -> None:
    """Its header LogicalAddress too is in the namespace that its WSDL names."""
    request = data.draw(requests(contract))

    document = write_request(
        contract, request, logical_address=LogicalAddress("5565594230"), actor=None
    )

    assert faults(document, validate_catalogue) == []
    call = read_call(document)
    assert (call.logical_address, read_request(contract, call)) == (
        "5565594230",
        request,
    )


@EVERY_CONTRACT
@settings(max_examples=examples(30), deadline=None)
@given(data=st.data())
def test_any_response_is_valid_and_reads_back(
    contract: Contract[Any, Any], data: st.DataObject, validate_catalogue: Validate
) -> None:
    """What the sandbox answers keeps to the schemas."""
    response = data.draw(messages(contract.response))

    document = write_response(contract, response)

    assert faults(document, validate_catalogue) == []
    assert read_response(contract, document).response == response


def test_the_address_asked_for_is_spelt_as_the_schema_spells_it() -> None:
    """The schema's name has one d."""
    document = write_request(
        supported.CONTRACT,
        supported.Request(logical_address="SE2321000016-1"),
        logical_address=LogicalAddress("5565594230"),
        actor=None,
    )

    assert b":logicalAdress>SE2321000016-1<" in document


def test_a_record_without_an_address_is_left_out() -> None:
    """The other addresses of the answer are read."""
    contract = addressees.CONTRACT
    document = write_response(
        contract,
        addressees.Response(
            records=(
                addressees.LogicalAddresseeRecordType(logical_address="A"),
                addressees.LogicalAddresseeRecordType(logical_address="B"),
            )
        ),
    ).replace(b">A<", b"><")

    answer = read_response(contract, document)

    assert [each.logical_address for each in answer.response.records] == ["B"]
    assert sum(answer.rejected.values()) == 1


def test_a_contract_is_named_inside_its_wrapper() -> None:
    """Each namespace of an answer stands in an element of its own."""
    response = supported.Response(
        contracts=(ServiceContractNamespaceType(service_contract_namespace="urn:x:1"),)
    )

    document = write_response(supported.CONTRACT, response)

    texts = [text for text in etree.fromstring(document).itertext() if text.strip()]
    assert texts == ["urn:x:1"]
