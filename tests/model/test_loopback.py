"""
Whether a host is this machine itself.
"""

import pytest

from fhir_gateway.model.loopback import is_loopback


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "127.0.0.9", "::1"]
)
def test_loopback_is_known(host: str) -> None:
    """The name and each usual form of an address of loopback count."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "example.org", "localhost.example.org", "127.0.0.1.example.org"),
        *("10.0.0.1", "::", "2130706433", "0x7f.0.0.1", "[::1]"),
    ],
)
def test_anything_else_is_another_machine(host: str) -> None:
    """A name that only a resolver knows, and an unusual form, are no loopback."""
    assert not is_loopback(host)
