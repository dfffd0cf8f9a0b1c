"""
The sandbox: regions with ledgers and fault rules, national services, and an issuer.

`request_handler` lists its paths. It answers every client and stores all that it
receives: never bind it to a public address.
"""

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Self

from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.sandbox.agenda import Agenda, density
from fhir_gateway.sandbox.catalogue import DEFAULT_SLOTS, SandboxRegion, regions
from fhir_gateway.sandbox.issuer.app import PATH, issuer_app
from fhir_gateway.sandbox.log_receiver import LogReceiver
from fhir_gateway.sandbox.platform.national import National
from fhir_gateway.sandbox.region import Region
from fhir_gateway.sandbox.request_handler import SandboxHttpd

__all__ = ["DEFAULT_AUDIENCE", "DEFAULT_PORT", "LOG_RECEIVER", "SandboxServer"]

DEFAULT_PORT: Final = 8090
LOG_RECEIVER: Final = "log"
"""The name of the log service in URLs; no region has it."""

DEFAULT_AUDIENCE: Final = "http://127.0.0.1:8080/fhir"
"""The FHIR base of a gateway that listens where it does without settings."""

_DEFAULT_SEED: Final = 1
_POLL_S: Final = 0.05


class SandboxServer:
    """
    All regions behind one port.

    Args:
        host: The address to listen on; loopback by default.
        port: The port to listen on; 0 for any free one.
        slots: The approximate number of free times of all regions together.
        seed: Another seed gives other times.
        clock: The clock of the regions; times that have begun are not listed.
        audience: The FHIR base that the issuer's access tokens are for.

    Raises:
        OSError: The port is in use.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        slots: int = DEFAULT_SLOTS,
        seed: int = _DEFAULT_SEED,
        clock: Clock = now,
        audience: str = DEFAULT_AUDIENCE,
    ) -> None:
        self._catalogue = regions(slots)
        self._stopping = threading.Event()
        agenda = Agenda(seed=seed, density=density(self._catalogue, slots))
        by_name = {
            str(region.name): Region(
                region, agenda=agenda, clock=clock, wait=self._wait
            )
            for region in self._catalogue
        }
        receiver = LogReceiver(LOG_RECEIVER, wait=self._wait)
        national = National(
            tuple(by_name.values()),
            endpoint=self.endpoint,
            clock=clock,
            wait=self._wait,
        )
        self._httpd = SandboxHttpd((host, port), by_name, receiver, national)
        self._httpd.issuer = issuer_app(self.issuer, audience, clock)
        self._thread: threading.Thread | None = None
        self._has_served = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Return the URL of the server, without a final slash."""
        host, port = self._httpd.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else host
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    @property
    def issuer(self) -> str:
        """Return the name of the issuer, which is its URL as clients of here see it."""
        url = self.url.replace("//0.0.0.0:", "//127.0.0.1:")
        return f"{url.replace('//[::]:', '//[::1]:')}{PATH}"

    def endpoint(self, region: str) -> str:
        """Return the SOAP endpoint of a region."""
        return f"{self.url}/rivta/{region}"

    def answering_s(self, region: str) -> float:
        """Return the total seconds that a region has spent on answers so far."""
        return self._httpd.regions[region].answering_s

    def regions(self) -> tuple[SandboxRegion, ...]:
        """Return the regions of the server."""
        return self._catalogue

    def sell_naively(self, *, naively: bool) -> None:
        """Let every region sell a time without limit, or each place once as before."""
        for region in self._httpd.regions.values():
            region.sell_naively(naively=naively)

    def keep_index_for(self, regions: Iterable[str]) -> None:
        """Let only these regions keep the engagement index by themselves."""
        index = self._httpd.national.index
        index.behave(replace(index.options, keeping=frozenset(regions)))

    def start(self) -> None:
        """Serve in the background."""
        self._thread = threading.Thread(
            target=self.serve_forever, name="sandbox", daemon=True
        )
        self._has_served = True
        self._thread.start()

    def serve_forever(self) -> None:
        """Serve until another thread calls `stop`, or an exception is raised."""
        self._has_served = True
        self._httpd.serve_forever(poll_interval=_POLL_S)

    def stop(self) -> None:
        """Stop at once: end all waiting calls and close all connections."""
        self._stopping.set()
        self._httpd.national.index.stop()
        if self._has_served:
            self._httpd.shutdown()
        self._httpd.server_close()
        self._httpd.close_connections()
        if self._thread:
            self._thread.join()

    def _wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)
