"""
PEM files for mutual TLS: made on the spot, and nobody's.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

__all__ = ["certificate_pem", "key_pem", "write_certificate"]

_KEY: Final = generate_private_key(SECP256R1())
_NAME: Final = x509.Name(
    [x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway.example.org")]
)
_FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)


def certificate_pem() -> bytes:
    """Return a certificate that its own key has signed."""
    return (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(_KEY.public_key())
        .serial_number(1)
        .not_valid_before(_FROM)
        .not_valid_after(_FROM + timedelta(days=36_500))
        .sign(_KEY, SHA256())
        .public_bytes(Encoding.PEM)
    )


def key_pem(*, password: bytes | None = None, is_another: bool = False) -> bytes:
    """Return the key of the certificate, or another one."""
    key = generate_private_key(SECP256R1()) if is_another else _KEY
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(password) if password else NoEncryption()
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def write_certificate(path: Path) -> Path:
    """Write a certificate and its key into a file; return the file."""
    path.write_bytes(certificate_pem() + key_pem())
    return path
