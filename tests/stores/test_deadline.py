"""
Deadlines of connections: cut off when they pass, left alone when they do not.
"""

import socket
from collections.abc import Iterator

import pytest

from fhir_gateway.stores.deadline import Deadlines


@pytest.fixture(name="pair")
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    with ours, theirs:
        yield ours, theirs


def test_who_waits_for_too_long_is_cut_off(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A read that nobody answers ends when the deadline passes."""
    ours, _ = pair

    Deadlines().watch(ours, 0.1)

    assert ours.recv(1) == b""


def test_another_connection_is_left_alone(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """What was released, or has time, goes on when another one is cut off."""
    ours, theirs = pair
    late, _peer = socket.socketpair()
    late.settimeout(10)
    deadlines = Deadlines()
    deadlines.watch(ours, 0)
    deadlines.release(ours)
    deadlines.watch(theirs, 3600)
    deadlines.watch(late, 0)

    cut_off = late.recv(1)
    theirs.sendall(b"x")

    assert (cut_off, ours.recv(1)) == (b"", b"x")
    late.close()
    _peer.close()
    deadlines.release(theirs)


def test_it_watches_again_after_a_pause(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """When nothing has been watched for a while, the next connection is watched."""
    ours, _ = pair
    first, _peer = socket.socketpair()
    first.settimeout(10)
    deadlines = Deadlines()
    deadlines.watch(first, 0)
    first.recv(1)
    first.close()
    _peer.close()

    deadlines.watch(ours, 0)

    assert ours.recv(1) == b""
