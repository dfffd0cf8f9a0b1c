"""
Why a source could not be reached, in words that show an operator where to look.
"""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from builders import AGENT, NORR, TOLVAN, UNIT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pem import write_certificate

from fhir_gateway.adapters.scheduling_1_1 import scheduling_1_1
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import GetAllTimeTypes

Served = Callable[[socket.socket], object]


@contextmanager
def listening(serve: Served) -> Iterator[int]:
    """Serve connections in a thread of its own; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def certificate(folder: Path, *, until: int, address: str = "127.0.0.1") -> Path:
    """Write a certificate of its own authority, with its key, valid until a year."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "region")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(until, 1, 1, tzinfo=dt.UTC))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address(address))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def over_tls(path: Path) -> Served:
    """Return what shakes hands with a certificate, and no more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return lambda connection: context.wrap_socket(connection, server_side=True).recv(1)


def error_at(
    endpoint: str,
    *,
    timeout: float = 3,
    then: Callable[[], object] = lambda: None,
    **options: str,
) -> GatewayError:
    """Return how a question to an endpoint fails, after something has happened."""
    adapter = scheduling_1_1(NORR, {"endpoint": endpoint, **options})
    then()
    question = GetAllTimeTypes(
        unit=UNIT, actor=Actor.agent(AGENT), subject_of_care=TOLVAN
    )
    with pytest.raises(GatewayError) as raised:
        adapter.get_all_time_types(question, timeout=timeout)
    adapter.close()
    return raised.value


def test_an_unknown_host_is_named() -> None:
    """A name that no DNS knows."""
    error = error_at("https://nowhere.invalid/")

    assert error.detail == "its host name is not known (DNS)"


@pytest.mark.parametrize(
    "scheme", [pytest.param("http", id="HTTP"), pytest.param("https", id="HTTPS")]
)
def test_a_refused_connection_is_named(scheme: str) -> None:
    """Nobody listens at the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    error = error_at(f"{scheme}://127.0.0.1:{port}/")

    assert error.detail == "the connection was refused"


def test_an_expired_certificate_is_named(tmp_path: Path) -> None:
    """The source's certificate was good until last year."""
    path = certificate(tmp_path, until=2021)
    with listening(over_tls(path)) as port:
        error = error_at(f"https://127.0.0.1:{port}/", trust=str(path))

    assert error.detail == ("its certificate is not accepted: certificate has expired")


def test_a_certificate_of_an_unknown_authority_is_named(tmp_path: Path) -> None:
    """The source's certificate is not one that we trust."""
    path = certificate(tmp_path, until=2120)
    with listening(over_tls(path)) as port:
        error = error_at(f"https://127.0.0.1:{port}/")

    assert error.detail == ("its certificate is not accepted: self-signed certificate")


def test_a_port_without_tls_is_named() -> None:
    """The source speaks plain HTTP where TLS is expected."""
    with listening(
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    ) as port:
        error = error_at(f"https://127.0.0.1:{port}/")

    assert error.detail == "it does not speak TLS there"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n10\r\n<a>",
            "the answer was cut short",
            id="cut short",
        ),
        pytest.param(
            b"220 mail.example.org ESMTP\r\n",
            "it does not speak HTTP there",
            id="no HTTP",
        ),
    ],
)
def test_an_incomplete_http_answer_is_named(answer: bytes, detail: str) -> None:
    """The words are ours, and no names of classes."""

    def serve(connection: socket.socket) -> None:
        # All of the request: what is left unread resets the connection at its end.
        with connection.makefile("rb") as request:
            length = 0
            while line := request.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            request.read(length)
        connection.sendall(answer)

    with listening(serve) as port:
        error = error_at(f"http://127.0.0.1:{port}/")

    assert error.detail == detail


def test_a_missing_file_of_ours_is_named(tmp_path: Path) -> None:
    """The certificate that the options name is there no more."""
    path = write_certificate(tmp_path / "ours.pem")
    error = error_at("https://127.0.0.1:1/", certificate=str(path), then=path.unlink)

    assert error.detail == "a certificate file of ours cannot be read"


def test_an_answer_that_does_not_come_is_named() -> None:
    """The source took the question and fell silent."""
    over = threading.Event()
    with listening(lambda _: over.wait(5)) as port:
        error = error_at(f"http://127.0.0.1:{port}/", timeout=0.3)
        over.set()

    assert error.detail == "the answer did not come in time"
