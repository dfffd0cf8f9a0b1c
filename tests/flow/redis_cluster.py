"""
A Redis Cluster of three nodes on loopback that can be killed and started again.
"""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from redis import Redis, RedisError

from fhir_gateway.stores.embedded_redis import server_program

__all__ = ["RedisCluster"]

_NODES: Final = 3
_SLOTS: Final = 16_384
# A node speaks to the others on its port and ten thousand.
_BUS: Final = 10_000
_FIRST_PORT: Final = 21_000
_LAST_PORT: Final = 31_000
_READY_WITHIN_S: Final = 20.0


class RedisCluster:
    """Three masters without replicas and without persistence."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cluster-"))
        self.ports = _free_ports(_NODES)
        self._servers: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Return its URL: that of the first node."""
        return f"redis://127.0.0.1:{self.ports[0]}?cluster=true"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def node(self, port: int) -> Redis:
        """Return a node itself."""
        return Redis(host="127.0.0.1", port=port, socket_timeout=2)

    def port_of(self, key: str) -> int:
        """Return the port of the node that has a key."""
        with self.node(self.ports[0]) as node:
            slot = int(node.execute_command("CLUSTER", "KEYSLOT", key))
        return self.ports[slot * _NODES // _SLOTS]

    def kill(self, port: int) -> None:
        """Kill a node; what it had is lost."""
        self._servers[port].send_signal(signal.SIGKILL)
        self._servers[port].wait()

    def start_again(self, port: int) -> None:
        """Start a node that was killed, and wait for the cluster."""
        self._launch(port)
        self.await_ok()

    def await_ok(self) -> None:
        """Wait until every node says that the cluster is whole."""
        deadline = time.monotonic() + _READY_WITHIN_S
        while not all(self._is_ok(port) for port in self.ports):
            if time.monotonic() > deadline:
                raise AssertionError("the cluster did not come together")
            time.sleep(0.05)

    def _start(self) -> None:
        for port in self.ports:
            self._launch(port)
        for number, port in enumerate(self.ports):
            first = number * _SLOTS // _NODES
            end = (number + 1) * _SLOTS // _NODES
            with self.node(port) as node:
                node.execute_command("CLUSTER", "ADDSLOTS", *range(first, end))
                node.execute_command("CLUSTER", "MEET", "127.0.0.1", self.ports[0])
        self.await_ok()

    def _stop(self) -> None:
        for server in self._servers.values():
            server.kill()
            server.wait()
        shutil.rmtree(self._folder)

    def _is_ok(self, port: int) -> bool:
        with self.node(port) as node:
            try:
                info: bytes = node.execute_command("CLUSTER", "INFO")
            except RedisError:
                return False
        return {b"cluster_state:ok", b"cluster_slots_ok:16384"} <= set(info.split())

    def _launch(self, port: int) -> None:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        with (folder / "redis.log").open("ab") as log:
            self._servers[port] = subprocess.Popen(
                [
                    server_program(),
                    *("--port", str(port)),
                    *("--bind", "127.0.0.1"),
                    *("--cluster-enabled", "yes"),
                    *("--cluster-node-timeout", "1000"),
                    *("--save", ""),
                    *("--appendonly", "no"),
                    *("--dir", str(folder)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            with self.node(port) as node:
                try:
                    node.ping()
                except RedisError:
                    assert time.monotonic() < deadline, "a node did not start"
                    time.sleep(0.02)
                else:
                    return


def _free_ports(count: int) -> list[int]:
    """Return ports that are free with their bus ports."""
    found = []
    # From a place of this process's own: two test runs do not meet often.
    start = _FIRST_PORT + (time.monotonic_ns() // 1000) % (_LAST_PORT - _FIRST_PORT)
    for port in range(start, start + 1_000):
        if all(_is_free(each) for each in (port, port + _BUS)):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
