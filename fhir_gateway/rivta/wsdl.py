"""
The WSDL 1.1 of a contract that this program produces, made from its own classes.

It has the names of RIVTABP21, one header (LogicalAddress), and the types inline. The
elements of a class must all stand in its namespace.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lxml import etree

from fhir_gateway.rivta.contract import REGISTRY, Contract
from fhir_gateway.rivta.element import BOOLEAN, TIME, Codec, layout_of

__all__ = ["wsdl"]

_WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
_SOAP: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
_XS: Final = "http://www.w3.org/2001/XMLSchema"
_HTTP: Final = "http://schemas.xmlsoap.org/soap/http"
_VERSION: Final = re.compile(r"(?P<domain>.+:)\w+Responder:(?P<major>\d+)")


def wsdl(contract: Contract[Any, Any], address: str) -> bytes:
    """
    Return the WSDL of a contract.

    Args:
        contract: The contract.
        address: The URL that a consumer posts to.
    """
    name = contract.interaction.name
    match = _VERSION.fullmatch(contract.namespace)
    if match is None:
        raise ValueError(f"{contract.namespace} is no namespace of a contract")
    target = f"{match['domain']}{name}:{match['major']}:rivtabp21"
    root = etree.Element(
        f"{{{_WSDL}}}definitions",
        nsmap={
            "wsdl": _WSDL,
            "soap": _SOAP,
            "xs": _XS,
            "tns": target,
            "tjsr": contract.namespace,
            "itr": REGISTRY,
        },
        name=f"{name}Interaction",
        targetNamespace=target,
    )
    _append_types(root, contract)
    _append_messages(root, name)
    _append_binding(root, contract)
    service = _child(root, "service", name=f"{name}ResponderService")
    port = _child(
        service,
        "port",
        name=f"{name}ResponderPort",
        binding=f"tns:{name}ResponderBinding",
    )
    etree.SubElement(port, f"{{{_SOAP}}}address", location=address)
    return etree.tostring(
        root, xml_declaration=True, encoding="UTF-8", pretty_print=True
    )


def _append_messages(root: etree._Element, name: str) -> None:
    request = _child(root, "message", name=f"{name}Request")
    _child(request, "part", name="LogicalAddress", element="itr:LogicalAddress")
    _child(request, "part", name="parameters", element=f"tjsr:{name}")
    response = _child(root, "message", name=f"{name}Response")
    _child(response, "part", name="parameters", element=f"tjsr:{name}Response")
    port_type = _child(root, "portType", name=f"{name}ResponderInterface")
    operation = _child(port_type, "operation", name=name)
    _child(operation, "input", message=f"tns:{name}Request")
    _child(operation, "output", message=f"tns:{name}Response")


def _append_binding(root: etree._Element, contract: Contract[Any, Any]) -> None:
    name = contract.interaction.name
    binding = _child(
        root,
        "binding",
        name=f"{name}ResponderBinding",
        type=f"tns:{name}ResponderInterface",
    )
    etree.SubElement(binding, f"{{{_SOAP}}}binding", style="document", transport=_HTTP)
    operation = _child(binding, "operation", name=name)
    etree.SubElement(
        operation,
        f"{{{_SOAP}}}operation",
        soapAction=contract.action,
        style="document",
    )
    given = _child(operation, "input")
    etree.SubElement(
        given,
        f"{{{_SOAP}}}header",
        use="literal",
        message=f"tns:{name}Request",
        part="LogicalAddress",
    )
    etree.SubElement(given, f"{{{_SOAP}}}body", use="literal", parts="parameters")
    etree.SubElement(_child(operation, "output"), f"{{{_SOAP}}}body", use="literal")


def _append_types(root: etree._Element, contract: Contract[Any, Any]) -> None:
    """Append a schema for each namespace, with a named type for each class."""
    types = _child(root, "types")
    name = contract.interaction.name
    names = {contract.request: f"{name}Type", contract.response: f"{name}ResponseType"}
    for kind in (contract.request, contract.response):
        names |= {each: each.__name__ for each in _parts(kind)}
    prefixes = {
        namespace: f"n{number}"
        for number, namespace in enumerate(sorted({_namespace(each) for each in names}))
    }
    for namespace, own_prefix in prefixes.items():
        schema = etree.SubElement(
            types,
            f"{{{_XS}}}schema",
            nsmap={prefix: each for each, prefix in prefixes.items()},
            targetNamespace=namespace,
            elementFormDefault="qualified",
        )
        for other in prefixes:
            if other != namespace:
                etree.SubElement(schema, f"{{{_XS}}}import", namespace=other)
        for element, kind in (
            (name, contract.request),
            (f"{name}Response", contract.response),
        ):
            if _namespace(kind) == namespace:
                etree.SubElement(
                    schema,
                    f"{{{_XS}}}element",
                    name=element,
                    type=f"{own_prefix}:{names[kind]}",
                )
        for kind, type_name in names.items():
            if _namespace(kind) == namespace:
                _append_type(schema, kind, type_name, names, prefixes)
    registry = etree.SubElement(
        types,
        f"{{{_XS}}}schema",
        targetNamespace=REGISTRY,
        elementFormDefault="qualified",
    )
    etree.SubElement(
        registry, f"{{{_XS}}}element", name="LogicalAddress", type="xs:string"
    )


def _append_type(
    schema: etree._Element,
    kind: type,
    name: str,
    names: Mapping[type, str],
    prefixes: Mapping[str, str],
) -> None:
    complex_type = etree.SubElement(schema, f"{{{_XS}}}complexType", name=name)
    sequence = etree.SubElement(complex_type, f"{{{_XS}}}sequence")
    for _, _, declared in layout_of(kind).by_field:
        content = declared.content
        element = etree.SubElement(
            sequence,
            f"{{{_XS}}}element",
            name=declared.name,
            # A message without items would say nothing.
            minOccurs="1" if declared.required or declared.repeats else "0",
            maxOccurs="unbounded" if declared.repeats else "1",
        )
        if isinstance(content, Codec):
            _set_simple_type(element, content)
        else:
            element.set("type", f"{prefixes[_namespace(content)]}:{names[content]}")
    etree.SubElement(
        sequence,
        f"{{{_XS}}}any",
        namespace="##other",
        processContents="lax",
        minOccurs="0",
        maxOccurs="unbounded",
    )


def _set_simple_type(element: etree._Element, codec: Codec) -> None:
    if codec.to_text == BOOLEAN.to_text:
        element.set("type", "xs:boolean")
    elif codec.to_text == TIME.to_text:
        simple = etree.SubElement(element, f"{{{_XS}}}simpleType")
        restriction = etree.SubElement(
            simple, f"{{{_XS}}}restriction", base="xs:string"
        )
        etree.SubElement(restriction, f"{{{_XS}}}pattern", value="[0-9]{14}")
    else:
        element.set("type", "xs:string")


def _parts(kind: type) -> Iterator[type]:
    """Yield the classes of a message's parts, at any depth."""
    for _, _, declared in layout_of(kind).by_field:
        if not isinstance(declared.content, Codec):
            yield declared.content
            yield from _parts(declared.content)


def _namespace(kind: type) -> str:
    namespace: str = kind.NAMESPACE  # type: ignore[attr-defined] # every message has one: test_contracts.py
    return namespace


def _child(parent: etree._Element, tag: str, /, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{_WSDL}}}{tag}", attributes)
