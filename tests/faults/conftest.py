"""
One world for all tests of this folder: making one takes seconds.
"""

from collections.abc import Iterator

import pytest

from faults.world import World, world


@pytest.fixture(name="common_world", scope="session")
def _common_world() -> Iterator[World]:
    with world(gateways=2, reconcilers=2, slots=2_600) as running:
        yield running


@pytest.fixture(name="running")
def _running(common_world: World) -> Iterator[World]:
    """Give the world with a new journal, everybody's times free, and nothing wrong."""
    common_world.begin_anew()
    yield common_world
    common_world.heal()
