"""
XML of others: how it is parsed without harm.

SOAP 1.1 and FHIR R4 (2.6.1) both do without document type declarations. Without them
there is no entity expansion and no external reference.
"""

from lxml import etree

__all__ = ["has_document_type", "safe_parser"]


def safe_parser(encoding: str | None) -> etree.XMLParser:
    """
    Return a parser that expands nothing and fetches nothing.

    One for each document: lxml's parsers are not shared between threads.

    Args:
        encoding: That of the document; None to go by the document itself.
    """
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )


def has_document_type(root: etree._Element) -> bool:
    """Return whether a parsed document has a document type declaration."""
    # lxml-stubs lack `doctype`; the declaration's parts are what it is made of.
    declared = root.getroottree().docinfo
    return declared.internalDTD is not None
