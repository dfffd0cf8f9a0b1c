"""
Ports for the servers that flow tests start.
"""

import socket

__all__ = ["free_port"]


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
