"""
What is seen of Redis at the start: whether it is one, and lets us in.
"""

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from flow.ports import free_port

from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import RedisClient, StoreUnavailable
from fhir_gateway.stores.redis_fault import RedisFault
from fhir_gateway.stores.redis_url import WrongRedis

_REFUSED = "has a user name or a password that Redis refuses, or lacks them"


@pytest.fixture(name="locked_url")
def _locked_url() -> Iterator[str]:
    """Give a Redis that wants a password."""
    folder = Path(tempfile.mkdtemp(prefix="locked-"))
    with EmbeddedRedis(folder) as embedded:
        client = redis.Redis.from_url(embedded.url)
        client.config_set("requirepass", "riktigt")
        client.close()
        yield embedded.url
    shutil.rmtree(folder)


@pytest.mark.parametrize("user", ["", ":hemligt@"])
def test_a_password_that_is_refused_is_a_wrong_setting(
    locked_url: str, user: str
) -> None:
    """A Redis that refuses the login is reported, without the password."""
    client = RedisClient(locked_url.replace("unix://", f"unix://{user}"))

    with pytest.raises(WrongRedis) as caught:
        client.check()
    client.close()

    assert caught.value.faults == (_REFUSED,)


def test_the_right_password_is_let_in(locked_url: str) -> None:
    """Nothing is reported of a Redis that accepts the login."""
    client = RedisClient(locked_url.replace("unix://", "unix://:riktigt@"))

    client.check()
    client.close()


def test_a_redis_that_is_away_is_no_wrong_setting() -> None:
    """A process starts without its Redis, and waits for it."""
    RedisClient("redis://127.0.0.1:1").check()


def test_what_is_no_redis_is_a_wrong_setting() -> None:
    """A web server, for instance, is not taken for a Redis."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        client = RedisClient(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(WrongRedis) as caught:
            client.check()
        client.close()
        thread.join()

    assert caught.value.faults == ("leads to something that is no Redis",)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("?db=999", RedisFault.NO_DATABASE),
        ("?db=15", None),
    ],
)
def test_a_database_that_redis_lacks_is_a_wrong_setting(
    open_url: str, more: str, fault: RedisFault | None
) -> None:
    """Redis has sixteen databases, unless it is set up with another number."""
    assert faults_of(f"{open_url}{more}") == ([fault.value] if fault else [])


def test_a_redis_that_is_no_cluster_is_a_wrong_setting(open_url: str) -> None:
    """What is asked for as a cluster and is none can never be used."""
    client = redis.Redis.from_url(open_url)
    port = free_port()
    client.config_set("port", port)
    client.close()

    assert faults_of(f"redis://127.0.0.1:{port}?cluster=true") == [
        RedisFault.NO_CLUSTER.value
    ]


def test_a_redis_without_tls_is_reported(open_url: str) -> None:
    """Redis answers the beginning of TLS with nothing at all."""
    client = redis.Redis.from_url(open_url)
    port = free_port()
    client.config_set("port", port)
    client.close()

    asking = RedisClient(f"rediss://127.0.0.1:{port}")
    with pytest.raises(StoreUnavailable) as caught, asking.asking() as asked:
        asked.ping()
    asking.close()

    assert caught.value.fault == RedisFault.TLS_LATE


def test_a_server_that_answers_tls_with_plain_text_is_a_wrong_setting() -> None:
    """A server of another kind, behind the port that should speak TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"-ERR unknown command\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        found = faults_of(f"rediss://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()

    assert found == [RedisFault.NO_TLS.value]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("redis://127.0.0.1:1", RedisFault.REFUSED),
        ("redis://h.invalid", RedisFault.NO_SUCH_HOST),
        ("unix:///nowhere/redis.sock", RedisFault.NO_SOCKET),
    ],
)
def test_each_fault_of_redis_has_its_own_message(url: str, fault: RedisFault) -> None:
    """A refusal, an unknown host and an absent socket each have their words."""
    client = RedisClient(url)
    with pytest.raises(StoreUnavailable) as caught, client.asking() as asked:
        asked.ping()
    client.close()

    assert caught.value.fault == fault


def faults_of(url: str) -> list[str]:
    """Return what a check finds wrong with a Redis that is there."""
    client = RedisClient(url, timeout_s=5)
    try:
        client.check()
    except WrongRedis as error:
        return list(error.faults)
    finally:
        client.close()
    return []


@pytest.fixture(name="open_url")
def _open_url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="open-"))
    with EmbeddedRedis(folder) as embedded:
        yield embedded.url
    shutil.rmtree(folder)
