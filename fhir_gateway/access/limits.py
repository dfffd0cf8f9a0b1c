"""
Limits: how much of this server one client may use.

`model/client_limits.py` has the numbers. SQL counts holds and bookings,
in the transaction that makes one: see `stores/journal/quotas.py`.
"""

import hashlib
from datetime import timedelta
from functools import lru_cache, partial
from ipaddress import IPv6Address, ip_address
from typing import Final

from fhir_gateway.access.policy import Interaction
from fhir_gateway.access.request_rate import RequestRate, SharedCounts
from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.stores.request_counts import RequestCounts

__all__ = ["Limits", "asks_region", "limited_as", "network_of"]

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
# A customer of an Internet provider has a /64 at least, and all its addresses.
_OF_ONE_CUSTOMER: Final = 64
_HASH_BYTES: Final = 16
_KEY_BYTES: Final = 64
# Addresses, and names of up to a few kilobytes.
_MOST_REMEMBERED: Final = 1024


def asks_region(interaction: Interaction) -> bool:
    """Return whether a request may ask a region, or change what it knows."""
    return interaction.type == "Appointment" and interaction.name not in (
        *("$find", "$validate", "$relations", "$relate"),
    )


@lru_cache(maxsize=_MOST_REMEMBERED)
def network_of(address: str) -> str:
    """
    Return the part of a peer's address that one client has for itself.

    All peers without an address of IP, such as those of a socket, count as one.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    prefix = int(parsed) >> (128 - _OF_ONE_CUSTOMER) << (128 - _OF_ONE_CUSTOMER)
    return f"{IPv6Address(prefix)}/{_OF_ONE_CUSTOMER}"


def limited_as(principal: Principal, address: str) -> str | None:
    """
    Return the name of what shares limits with a request; None where nothing limits it.

    That is so in an open demo, and of notifications of the engagement index.

    Without a token that is the network of the peer's address.
    """
    match principal.role:
        case Role.DEMO | Role.INDEX:
            # The index repeats what is refused: a limit would only delay the posts.
            return None
        case Role.ANYBODY:
            return _by_address(address)
    return principal.limited_as


class Limits:
    """
    Counts what clients do, and refuses what is too much.

    Each method raises `LimitReached`, which says when the client may come back.

    Args:
        numbers: The limits.
        counts: The counts that all processes share.
        secret: Hashes the names of clients; the same in every process.
        processes: How many processes share the limits while Redis is away.
        clock: Returns the time.
    """

    def __init__(
        self,
        numbers: ClientLimits,
        counts: RequestCounts,
        *,
        secret: str,
        processes: int = 1,
        clock: Clock = now,
    ) -> None:
        key = secret.encode()[:_KEY_BYTES]
        self._hashed = lru_cache(maxsize=_MOST_REMEMBERED)(partial(_hashed, key))
        self._shared = SharedCounts(counts, processes=processes)
        self._searches = RequestRate(
            "searches",
            numbers.searches,
            period=_MINUTE,
            shared=self._shared,
            text="The searches and reads of this client in a minute are more than",
            # A search waits for no Redis.
            is_exact=False,
            clock=clock,
        )
        self._region_calls = RequestRate(
            "region-calls",
            numbers.region_calls,
            period=_MINUTE,
            shared=self._shared,
            text=(
                "This client's requests that may ask a region in a minute are more than"
            ),
            clock=clock,
        )
        self._failed_looks = RequestRate(
            "failed-looks",
            numbers.failed_looks,
            period=_HOUR,
            shared=self._shared,
            text=(
                "This client's requests for appointments that are not there, or with"
                " refused tokens, in an hour are as many as allowed,"
            ),
            clock=clock,
        )
        self._request_keys = RequestRate(
            "request-keys",
            numbers.request_keys,
            period=_HOUR,
            shared=self._shared,
            text="This client's requests with a key in an hour are more than",
            clock=clock,
        )

    def admit(
        self,
        client: str | None,
        interaction: Interaction,
        *,
        names_one: bool = False,
        has_key: bool = False,
    ) -> None:
        """
        Count a request, before anything is done of it.

        Args:
            client: The name that `limited_as` returned; None for no limit.
            interaction: What it asks for.
            names_one: It can name one appointment, or one record of the audit trail, by
                its id.
            has_key: It has a request key.
        """
        if client is None:
            return
        name = self._hashed(client)
        if names_one:
            # Otherwise a client could go on guessing, and see only its hits.
            self._failed_looks.check(name)
        if not asks_region(interaction):
            self._searches.count(name)
            return
        self._region_calls.count(name)
        if has_key:
            self._request_keys.count(name)

    def count_region_calls(self, client: str | None, calls: int) -> None:
        """Count calls to regions that a search causes, before they are made."""
        if client is not None:
            self._region_calls.count(self._hashed(client), calls)

    def count_failed_look(self, client: str | None) -> None:
        """Count a request for what is not there for the client."""
        if client is not None:
            self._failed_looks.count(self._hashed(client))

    def count_refused_token(self, address: str) -> None:
        """
        Count a request with a token that was refused, by the peer's address.

        A valid token from there is still good: others may have the same address.
        """
        self._failed_looks.count(self._hashed(_by_address(address)))

    def close(self) -> None:
        """Stop the thread that reports counts."""
        self._shared.close()


def _hashed(key: bytes, client: str) -> str:
    # A name of a client may hold any characters, also half of a surrogate pair.
    text = client.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=key, digest_size=_HASH_BYTES).hexdigest()


def _by_address(address: str) -> str:
    # No client's name begins so: it begins with a role.
    return f"address\n{network_of(address)}"
