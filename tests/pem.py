"""
PEM files for mutual TLS: made on the spot, and nobody's.
"""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
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

__all__ = [
    "certificate_of",
    "certificate_pem",
    "key_pem",
    "write_certificate",
    "write_server_certificate",
]

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


def certificate_of(hsa_id: str) -> bytes:
    """Return a certificate as SITHS has it, with an HSA-id in its subject, in DER."""
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "index.example.org"),
            x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, hsa_id),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(_KEY.public_key())
        .serial_number(2)
        .not_valid_before(_FROM)
        .not_valid_after(_FROM + timedelta(days=36_500))
        .sign(_KEY, SHA256())
        .public_bytes(Encoding.DER)
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
    _write(path, certificate_pem() + key_pem())
    return path


def write_server_certificate(folder: Path, name: str, address: str) -> Path:
    """Write a certificate of an address, and its own new key, into one file."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_FROM.replace(year=2020))
        .not_valid_after(_FROM.replace(year=2120))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / f"{name}.pem"
    _write(
        path,
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM),
    )
    return path


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
