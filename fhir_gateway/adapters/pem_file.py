"""
Whether a PEM file that a setting names can be used.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Final

from fhir_gateway.model.private_file import fault_of_rights
from fhir_gateway.model.regular_file import fault_of_file

__all__ = ["pem_fault"]


def _load_certificate(path: str) -> None:
    # Without this empty password OpenSSL would ask for one on the terminal.
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, password="")


def _load_trust(path: str) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)


# The function that loads each file, and the content that the file must have.
_PEM_FILES: Final[Mapping[str, tuple[Callable[[str], None], str]]] = {
    "certificate": (
        _load_certificate,
        "a certificate and the key that belongs to it, without a password",
    ),
    "trust": (_load_trust, "one certificate or more"),
}


def pem_fault(option: str, path: str) -> str | None:
    """
    Return the fault of a file, without OpenSSL's own text; None where it has none.

    Args:
        option: `certificate` or `trust`.
        path: The file.
    """
    load, expected = _PEM_FILES[option]
    if fault := fault_of_file(path):
        return fault if "path" in fault.split() else f"the file {path} {fault}"
    try:
        load(path)
    except ssl.SSLError:
        return f"the file {path} must hold, in PEM, {expected}"
    fault = fault_of_rights(path, is_secret=option == "certificate")
    return f"the file {path} {fault}" if fault else None
