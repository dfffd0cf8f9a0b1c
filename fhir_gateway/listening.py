"""
Where a server listens: an address of this machine and a free port, or a unix socket.
"""

import errno
import os
import socket
from pathlib import Path

__all__ = ["CannotListen", "free_socket", "listening_address"]


class CannotListen(Exception):
    """
    The server cannot listen there; the message says what to do.

    Attributes:
        is_configuration: Whether only a changed setting helps.
    """

    def __init__(self, message: str, *, is_configuration: bool) -> None:
        super().__init__(message)
        self.is_configuration = is_configuration


def listening_address(host: str, port: int, *, host_name: str, port_name: str) -> str:
    """
    Return the address to listen on for a host's name.

    A web server silently shares its port with others that permit it (SO_REUSEPORT): two
    gateways with different settings would answer alternately. So this function first
    tries whether another program listens there.

    Args:
        host: An address or a name.
        port: The port.
        host_name: The setting or option of the host, for the message.
        port_name: The setting or option of the port, for the message.

    Raises:
        CannotListen: The name has no address, it is not an address of this machine, or
            the port is taken or forbidden.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise CannotListen(
            f"{host_name}: no address is known of {host}; give an address of this"
            " machine, such as 127.0.0.1",
            is_configuration=True,
        ) from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections that were closed a moment ago do not occupy a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # Not listen(): it would refuse a client that connects in that moment.
            probe.bind(address)
        except OSError as error:
            raise _refusal(error, host, port, host_name, port_name) from None
    return str(address[0])


def free_socket(path: Path, *, name: str) -> None:
    """
    Make the path of a unix socket free: a killed server leaves its socket behind.

    Args:
        path: The path.
        name: The setting of the path, for the message.

    Raises:
        CannotListen: A server listens there, something else lies there, or this process
            may not make a socket there.
    """
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CannotListen(
            f"{name}: this process cannot make a socket in {path.parent}; give a folder"
            " where it may write",
            is_configuration=True,
        )
    if not path.exists():
        return
    if not path.is_socket():
        raise CannotListen(
            f"{name}: {path} is no socket; give another path", is_configuration=True
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise CannotListen(
                f"{name}: {path} cannot be used ({error.strerror}); give another path",
                is_configuration=True,
            ) from None
    raise CannotListen(
        f"{path} is in use by another program, perhaps another gateway; stop it, or"
        f" choose another path with {name}=unix:…",
        is_configuration=False,
    )


def _refusal(
    error: OSError, host: str, port: int, host_name: str, port_name: str
) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        return CannotListen(
            f"port {port} of {host} is in use by another program, perhaps another"
            f" gateway; stop it, or choose another port with {port_name}=…",
            is_configuration=False,
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotListen(
            f"{host_name}: {host} is no address of this machine",
            is_configuration=True,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return CannotListen(
            f"{port_name}: this process may not listen on port {port}; choose one from"
            " 1024 on",
            is_configuration=True,
        )
    return CannotListen(
        f"{host_name}: nobody can listen on {host}, port {port}: {error.strerror}",
        is_configuration=True,
    )
