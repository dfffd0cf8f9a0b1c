"""
Where a server is to listen: an address of this machine, and a port that nobody has.
"""

import errno
import socket

__all__ = ["CannotListen", "listening_address"]


class CannotListen(Exception):
    """
    Nobody can listen there; the message says what to do.

    Attributes:
        is_configuration: Whether it stays so until somebody changes a setting.
    """

    def __init__(self, message: str, *, is_configuration: bool) -> None:
        super().__init__(message)
        self.is_configuration = is_configuration


def listening_address(host: str, port: int, *, host_name: str, port_name: str) -> str:
    """
    Return the address to listen on for a host's name.

    A web server shares its port with others that permit it (SO_REUSEPORT), without a
    word: two gateways of different settings would answer by turns. So it is tried here
    first whether anybody listens there.

    Args:
        host: An address or a name.
        port: The port.
        host_name: What sets the host, for the message.
        port_name: What sets the port, for the message.

    Raises:
        CannotListen: No address has that name, it is no address of this machine, or
            the port is taken or may not be used.
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
        # Connections that were closed a moment ago take no port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # Not listen(): who came in that moment would be turned away.
            probe.bind(address)
        except OSError as error:
            raise _refusal(error, host, port, host_name, port_name) from None
    return str(address[0])


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
