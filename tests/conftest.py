"""
A gateway over real simulated regions: real SOAP, a real Redis, a real journal.
"""

import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hl7_validator import Hl7Validator, NoHl7Validator, running_hl7_validator
from node_validators import NodeValidators, NoNode, running_node_validators
from web.guarded import Guarded, issuers_file, served_keys
from web.running import (
    BASE_URL,
    SLOTS,
    OtherPrograms,
    Sandbox,
    fill,
    numbers_of_test_persons,
    own_regions,
    write_lasting_sources,
)
from werkzeug.serving import make_server

from fhir_gateway.bootstrap import Program, program
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_log_service
from fhir_gateway.settings import Settings
from fhir_gateway.stores.embedded_redis import EmbeddedRedis

# Two test runs at once, or a slow machine, are no fault of a test's.
hypothesis.settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "thorough", parent=hypothesis.settings.get_profile("unhurried"), max_examples=10_000
)
# Of make fuzz: tests/fuzz/tries.py says how many examples.
hypothesis.settings.register_profile(
    "fuzz", parent=hypothesis.settings.get_profile("unhurried")
)
hypothesis.settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """
    Keep each file in one process: what its tests share is made once.

    The longest come first, so that at the end no process has much left to do while the
    others have nothing: what starts real servers, then the files with the most tests.
    pytest-xdist also takes far longer to hand out single tests than files.
    """
    takes_long: set[str] = set()
    sizes: Counter[str] = Counter()
    groups: dict[pytest.Item, str] = {}
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        group = mark.args[0] if mark else f"{item.path.parent.name}.{item.path.stem}"
        groups[item] = group
        sizes[group] += 1
        if mark is None:
            item.add_marker(pytest.mark.xdist_group(group))
        if mark is not None or item.get_closest_marker("flow") is not None:
            takes_long.add(group)
    if hasattr(config, "workerinput"):
        items.sort(
            key=lambda item: (
                groups[item] not in takes_long,
                -sizes[groups[item]],
                groups[item],
            )
        )


_SETTINGS: Final = ("REDIS_URL", "DATABASE_URL", "PORT", "SANDBOX_PORT")


@pytest.fixture(name="clean_environment", scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """The developer's own settings do not reach a test."""
    kept = dict(os.environ)
    for name in kept:
        if name in _SETTINGS or name.startswith("FHIR_GATEWAY_"):
            del os.environ[name]
    # No balancer needs a notice before a test's gateway stops.
    os.environ["FHIR_GATEWAY_DRAINS_FOR_S"] = "0"
    # Most tests have no tokens.
    os.environ["FHIR_GATEWAY_OPEN_DEMO"] = "yes"
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(name="usual_umask", autouse=True)
def _usual_umask() -> Iterator[None]:
    """A command that a test calls in its own process changes no other test's files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(name="sandbox_server", scope="session")
def _sandbox_server() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=SLOTS) as server:
        yield server


@pytest.fixture(name="folder", scope="session")
def _folder() -> Iterator[Path]:
    # Not tmp_path_factory's: the socket of Redis needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="gateway-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(name="redis_url", scope="session")
def _redis_url(folder: Path) -> Iterator[str]:
    with EmbeddedRedis(folder) as redis:
        yield redis.url


@pytest.fixture(name="settings", scope="session")
def _settings(folder: Path, sandbox_server: SandboxServer) -> Settings:
    return Settings.from_environment(
        {
            "FHIR_GATEWAY_SOURCES": str(write_lasting_sources(folder, sandbox_server)),
            "FHIR_GATEWAY_DATA_DIR": str(folder),
            "FHIR_GATEWAY_BASE_URL": BASE_URL,
            # All tests are one client, within an hour.
            "FHIR_GATEWAY_LIMIT_HOLDS": "10000",
            "FHIR_GATEWAY_LIMIT_HOLDS_AN_HOUR": "10000",
        }
    )


@pytest.fixture(name="made", scope="session")
def _made(settings: Settings, redis_url: str) -> Iterator[Program]:
    """Give a gateway that knows every free time of every region."""
    with program(settings, redis_url) as made:
        fill(made)
        yield made


@pytest.fixture(name="other_programs", scope="session")
def _other_programs(settings: Settings, redis_url: str) -> OtherPrograms:
    return OtherPrograms(settings, redis_url)


@pytest.fixture(name="sandbox")
def _sandbox(sandbox_server: SandboxServer) -> Iterator[Sandbox]:
    sandbox = Sandbox(sandbox_server)
    yield sandbox
    sandbox.heal()


@pytest.fixture(name="app")
def _app(made: Program) -> Flask:
    return made.app


@pytest.fixture(name="client")
def _client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(name="live_url", scope="session")
def _live_url(made: Program) -> Iterator[str]:
    """Give the base of the gateway over real HTTP."""
    server = make_server("127.0.0.1", 0, made.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/fhir"
    server.shutdown()
    thread.join()
    server.server_close()


_NUMBERS: Final = numbers_of_test_persons()


@pytest.fixture(name="persons", scope="session")
def _persons() -> Iterator[str]:
    """Give test persons whom no other test has, as many as are wanted."""
    return _NUMBERS


@pytest.fixture(name="number")
def _number() -> str:
    """Give a test person whom no other test has."""
    return next(_NUMBERS)


@pytest.fixture(name="numbers")
def _numbers() -> list[str]:
    """Give ten test persons whom no other test has."""
    return [next(_NUMBERS) for _ in range(10)]


@pytest.fixture(name="node", scope="session")
def _node() -> Iterator[NodeValidators]:
    """Give the validators of others that run in Node."""
    try:
        with running_node_validators() as validators:
            yield validators
    except NoNode as missing:
        pytest.skip(str(missing))


@pytest.fixture(name="hl7", scope="session")
def _hl7() -> Iterator[Hl7Validator]:
    """Give HL7's own validator."""
    try:
        with running_hl7_validator() as validator:
            yield validator
    except NoHl7Validator as missing:
        pytest.skip(str(missing))


@pytest.fixture(name="guarded", scope="session")
def _guarded(
    other_programs: OtherPrograms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """Give a gateway that asks for tokens, over regions of its own."""
    folder = tmp_path_factory.mktemp("guarded")
    with (
        own_regions(folder) as (sandbox, sources),
        served_keys() as jwks_uri,
        other_programs.start(
            sources=sources,
            issuers=issuers_file(folder, jwks_uri),
            log_service=write_log_service(folder, sandbox.server.url),
            public_search=True,
        ) as made,
    ):
        fill(made)
        assert made.identity is not None
        made.identity.start()
        # It has the keys. To fetch them again would meet tests that fake all HTTP.
        made.identity.stop()
        yield Guarded(made, sandbox)
