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

from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import RedisClient
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
    """A Redis that does not let us in is told of, without the password."""
    client = RedisClient(locked_url.replace("unix://", f"unix://{user}"))

    with pytest.raises(WrongRedis) as caught:
        client.check()
    client.close()

    assert caught.value.faults == (_REFUSED,)


def test_the_right_password_is_let_in(locked_url: str) -> None:
    """Nothing is told of a Redis that lets us in."""
    client = RedisClient(locked_url.replace("unix://", "unix://:riktigt@"))

    client.check()
    client.close()


def test_a_redis_that_is_away_is_no_wrong_setting() -> None:
    """A process starts without its Redis, and waits for it."""
    RedisClient("redis://127.0.0.1:1").check()


def test_what_is_no_redis_is_a_wrong_setting() -> None:
    """A web server, say, is told from a Redis."""
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
