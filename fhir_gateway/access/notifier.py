"""
Who notifies: the engagement index, known by its client certificate of mutual TLS.

A proxy has checked the certificate's chain; this module looks only at which one it is.
The national certificates (SITHS) have the HSA-id of their holder as `serialNumber` of
the subject.
"""

from collections.abc import Container, Iterator
from functools import lru_cache
from typing import Final

from cryptography.x509 import load_der_x509_certificate
from cryptography.x509.oid import NameOID

from fhir_gateway.model.errors import NotPermitted, Unauthenticated
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.principal import Principal, Purpose, Role

__all__ = ["notifier"]

_MOST_REMEMBERED: Final = 16


def notifier(
    certificate: bytes | None, thumbprint: str | None, permitted: Container[str]
) -> Principal:
    """
    Return who notifies.

    Args:
        certificate: The client certificate that a trusted proxy verified, in DER.
        thumbprint: Its `x5t#S256`.
        permitted: The HSA-ids and thumbprints of those who may.

    Raises:
        Unauthenticated: There is no certificate, or nobody may notify.
        NotPermitted: The certificate is not one of theirs.
    """
    if certificate is None or thumbprint is None:
        raise Unauthenticated(
            "Notifications need mutual TLS: send them with the client certificate of"
            " the engagement index.",
            is_without_token=True,
        )
    for name in (thumbprint, *_hsa_ids(certificate)):
        if name in permitted:
            return Principal(
                role=Role.INDEX, client=name, purpose=Purpose.CARE_MANAGEMENT
            )
    raise NotPermitted(
        "The holder of this client certificate may not notify; the operator lists who"
        " may as notifiers in the file of the engagement index."
    )


@lru_cache(maxsize=_MOST_REMEMBERED)
def _hsa_ids(certificate: bytes) -> tuple[str, ...]:
    return tuple(_read_hsa_ids(certificate))


def _read_hsa_ids(certificate: bytes) -> Iterator[str]:
    subject = load_der_x509_certificate(certificate).subject
    for attribute in subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER):
        try:
            yield HsaId(str(attribute.value))
        except ValueError:
            continue
