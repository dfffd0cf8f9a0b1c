"""
The world of the fuzz tests; after each module somebody looks for the canary in it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from web.running import OtherPrograms

from .canary import Watch, found, process_titles, watching
from .tries import TRIED
from .world import World, live_canary, new_world

COUNTS = "FUZZ_COUNTS"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what needs the world in one process: it starts once."""
    for item in items:
        if "world" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("fuzz"))


def pytest_sessionfinish() -> None:
    """Write how many tries were made, where `make fuzz` wants to know."""
    path = os.environ.get(COUNTS)
    if path:
        Path(path).write_text(json.dumps(TRIED), encoding="utf-8")


# Of the package: it fetches keys meanwhile, and other tests fake all HTTP.
@pytest.fixture(name="world", scope="package")
def _world(
    other_programs: OtherPrograms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Give a gateway that asks for tokens, in which the canary lives."""
    with new_world(other_programs, tmp_path_factory.mktemp("fuzz")) as world:
        # Where the system of norr may not see it either.
        with watching() as watch:
            live_canary(world, ("mitt", "syd"))
        assert watch.events > 0
        assert watch.leaks == []
        yield world


@pytest.fixture(name="watch", scope="module")
def _watch(world: World) -> Iterator[Watch]:
    """Look through what is logged and stored; nothing of the canary's is in it."""
    with watching() as watch:
        watch.tokens.add(world.canary.token)
        yield watch
    world.look(watch)
    watch.look("process titles", process_titles())

    assert watch.leaks == []


@pytest.fixture(name="silent", autouse=True)
def _silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """What a test prints holds nothing of the canary's."""
    yield
    printed = capfd.readouterr()

    assert found(printed.out + printed.err) == []
