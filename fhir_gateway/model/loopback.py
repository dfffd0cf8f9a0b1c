"""
Whether a host is this machine itself.
"""

from ipaddress import ip_address

__all__ = ["is_loopback"]


def is_loopback(host: str) -> bool:
    """
    Return whether a host is `localhost` or an address of loopback (RFC 5735, RFC 4291).

    Any other name is not, since a resolver decides its address. An address counts only
    in its usual form: `127.1` and `2130706433` do not.

    Args:
        host: A name or an address, without a port and without brackets.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
