"""
Limits over HTTP: 429, who shares one, and what counts.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from assertions import assert_outcome, issue
from doubles import MovableClock
from flask import Flask, request

from fhir_gateway.access.gatekeeper import Gatekeeper
from fhir_gateway.access.limits import Limits
from fhir_gateway.access.may_act import NobodyElse
from fhir_gateway.access.policy import Interaction
from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.model.errors import NotFound, Unauthenticated
from fhir_gateway.model.principal import Principal, Purpose, Role
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import RedisClient
from fhir_gateway.stores.request_counts import RedisRequestCounts
from fhir_gateway.web.errors import register_error_handlers
from fhir_gateway.web.identity import identify
from fhir_gateway.web.limiting import count_failed_look, count_live_calls
from fhir_gateway.web.peer import Peer, remember_peer

NOON = datetime(2027, 3, 1, 12, 0, 15, tzinfo=UTC)
FEW = ClientLimits(searches=3, region_calls=5, failed_looks=2, request_keys=1)
INTERACTIONS = {
    "slots": Interaction("Slot", "search-type"),
    "live": Interaction("Slot", "search-type"),
    "appointment": Interaction("Appointment", "read"),
    "book": Interaction("Appointment", "create"),
    "cancel": Interaction("Appointment", "$cancel"),
}
KNOWN = "abc"

App = Callable[..., Any]


class Named:
    """Knows each client by the text of its token; `wrong` is no good token."""

    def principal_of(
        self, authorization: str | None, _certificate: bytes | None = None
    ) -> Principal:
        """Return the principal of a token."""
        if authorization is None:
            return Principal(role=Role.ANYBODY)
        if authorization == "wrong":
            raise Unauthenticated("The token cannot be used.")
        if authorization == "demo":
            return Principal(role=Role.DEMO)
        return Principal(
            role=Role.SYSTEM,
            client=authorization,
            purpose=Purpose.TREATMENT,
            scopes=frozenset({"system/*.cruds"}),
            units=("SE",),
        )


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture(name="ask")
def _ask(clock: MovableClock) -> Iterator[App]:
    """Give what sends a request, from an address and with a token."""
    folder = Path(tempfile.mkdtemp(prefix="limits-"))
    with EmbeddedRedis(folder) as redis:
        client = RedisClient(redis.url)
        limits = Limits(FEW, RedisRequestCounts(client), secret="cd" * 32, clock=clock)
        gateway: Any = SimpleNamespace(
            identity=Named(),
            limits=limits,
            gatekeeper=Gatekeeper(
                lambda _: None, NobodyElse(), (), is_open_to_anybody=True
            ),
        )
        app = Flask("limited")
        app.before_request(
            lambda: remember_peer(Peer(address=request.headers["X-Peer"]))
        )
        app.before_request(lambda: identify(gateway, INTERACTIONS))
        app.after_request(lambda response: count_failed_look(limits, response))
        register_error_handlers(app)

        def appointment(id: str) -> str:  # noqa: A002 - the name in FHIR's URL
            if id != KNOWN:
                raise NotFound("There is no such booking.")
            return "here"

        def live() -> str:
            count_live_calls(limits, 2)
            return "asked"

        app.add_url_rule("/Slot", "slots", lambda: "slots")
        app.add_url_rule("/live", "live", live)
        app.add_url_rule("/Appointment/<id>", "appointment", appointment)
        app.add_url_rule("/Appointment", "book", lambda: "new", methods=["POST"])
        app.add_url_rule("/Appointment/$cancel", "cancel", lambda: appointment("?"))
        app.add_url_rule("/health", "health", lambda: "ok")
        asking = app.test_client()

        def ask(
            path: str,
            token: str | None = None,
            *,
            peer: str = "192.0.2.7",
            key: str | None = None,
        ) -> Any:
            headers = {"X-Peer": peer}
            if token is not None:
                headers["Authorization"] = token
            if key is not None:
                headers["Idempotency-Key"] = key
            return asking.open(
                path,
                method="POST" if path == "/Appointment" else "GET",
                headers=headers,
            )

        yield ask
        limits.close()
        client.close()
    shutil.rmtree(folder)


def statuses(ask: App, *arguments: Any, times: int, **options: Any) -> list[int]:
    """Send a request so often; return the statuses of the answers."""
    return [ask(*arguments, **options).status_code for _ in range(times)]


def test_a_search_too_many_is_429(ask: App) -> None:
    """The answer says the limit, and in how many seconds to come back."""
    assert statuses(ask, "/Slot", times=3) == [200] * 3

    answer = ask("/Slot")
    assert_outcome(
        answer,
        429,
        issue(
            "throttled",
            "The searches and reads of this client in a minute are more than 3: wait as"
            " long as Retry-After says.",
        ),
    )
    assert answer.headers["Retry-After"] == "45"
    coding = answer.json["issue"][0]["details"]["coding"]
    assert coding[0]["code"] == "LIMIT_IS_REACHED"


def test_a_client_comes_back_after_retry_after(ask: App, clock: MovableClock) -> None:
    """After as many seconds as the answer says, the same request is answered."""
    statuses(ask, "/Slot", times=3)
    clock.forward(seconds=int(ask("/Slot").headers["Retry-After"]))

    assert ask("/Slot").status_code == 200


def test_addresses_do_not_share(ask: App) -> None:
    """Another address, or a token, has limits of its own."""
    statuses(ask, "/Slot", times=4)

    assert ask("/Slot", peer="192.0.2.8").status_code == 200
    assert ask("/Slot", "norr").status_code == 200


def test_a_token_shares_over_addresses(ask: App) -> None:
    """A client with a token has its limit once, from all its addresses."""
    seen = [
        ask("/Slot", "norr", peer=f"192.0.2.{each}").status_code for each in range(4)
    ]

    assert seen == [200, 200, 200, 429]


def test_what_is_no_interaction_has_no_limit(ask: App) -> None:
    """Health is answered however often it is asked."""
    assert statuses(ask, "/health", times=20) == [200] * 20


def test_a_demo_has_no_rate(ask: App) -> None:
    """An open demo answers as often as it is asked."""
    assert statuses(ask, "/Slot", "demo", times=20) == [200] * 20


def test_requests_that_ask_a_region_have_their_limit(ask: App) -> None:
    """Bookings and reads of bookings count together."""
    assert statuses(ask, f"/Appointment/{KNOWN}", "norr", times=3) == [200] * 3
    assert statuses(ask, "/Appointment", "norr", times=3) == [200, 200, 429]


def test_a_search_of_live_sources_counts_its_calls(ask: App) -> None:
    """Two searches of two calls each leave one call of five; the third has none."""
    assert statuses(ask, "/live", "norr", times=3) == [200, 200, 429]


def test_guesses_end_all_looks(ask: App, clock: MovableClock) -> None:
    """After two ids that do not exist, also one that exists is 429, for the hour."""
    guesses = [f"/Appointment/{each}" for each in ("x", "y")]
    assert [ask(each, "norr").status_code for each in guesses] == [404, 404]

    hidden, known = ask("/Appointment/z", "norr"), ask(f"/Appointment/{KNOWN}", "norr")
    assert (hidden.status_code, known.status_code) == (429, 429)
    assert hidden.data == known.data
    assert known.headers["Retry-After"] == str(60 * 60 - 15)
    assert ask("/Appointment", "norr").status_code == 200
    clock.forward(hours=1)
    assert ask(f"/Appointment/{KNOWN}", "norr").status_code == 200


def test_guesses_in_a_body_count(ask: App) -> None:
    """An operation that names an appointment in its body is a look like a read."""
    assert statuses(ask, "/Appointment/$cancel", "norr", times=3) == [404, 404, 429]
    assert ask(f"/Appointment/{KNOWN}", "norr").status_code == 429


def test_guesses_are_the_clients_own(ask: App) -> None:
    """One client's guesses do not shut another out."""
    statuses(ask, "/Appointment/x", "norr", times=3)

    assert ask(f"/Appointment/{KNOWN}", "syd").status_code == 200


def test_request_keys_have_a_limit(ask: App) -> None:
    """A second key in the hour is refused; a request without one is not."""
    assert ask("/Appointment", "norr", key="a").status_code == 200
    assert ask("/Appointment", "norr", key="b").status_code == 429
    assert ask("/Appointment", "norr").status_code == 200


def test_refused_tokens_have_a_limit(ask: App) -> None:
    """A third refused token is 429; a good one from there is still good."""
    assert statuses(ask, "/Slot", "wrong", times=3) == [401, 401, 429]
    assert ask("/Slot", "wrong", peer="192.0.2.8").status_code == 401
    assert ask("/Slot", "norr").status_code == 200


def test_a_request_without_a_token_is_no_refused_token(ask: App) -> None:
    """Who sends no token at all may be 401 as often as they like."""
    assert statuses(ask, "/Appointment", times=5) == [401] * 5
