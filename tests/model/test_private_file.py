"""
Files and folders that are their owner's alone.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_gateway.model.private_file import (
    fault_of_rights,
    is_open_to_others,
    make_private_folder,
    opener,
    take_rights_away,
)


def test_a_folder_keeps_its_rights(tmp_path: Path) -> None:
    """A wrong path may name a folder that others need, such as the system's /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)

    take_rights_away(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


@pytest.fixture(name="open_umask", autouse=True)
def _open_umask() -> Iterator[None]:
    """New files are everybody's, unless somebody says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """Return the rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_its_owners_with_those_above_it(tmp_path: Path) -> None:
    """Nobody can exchange a folder that lies in one of ours."""
    make_private_folder(tmp_path / "a" / "b")

    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


def test_an_existing_folder_stays_as_it_is(tmp_path: Path) -> None:
    """Its rights are the decision of who made it."""
    (tmp_path / "a").mkdir(mode=0o755)
    make_private_folder(tmp_path / "a")

    assert mode(tmp_path / "a") == 0o755


def test_a_new_file_is_its_owners(tmp_path: Path) -> None:
    """Its rights do not follow the umask."""
    with open(tmp_path / "a", "w", opener=opener, encoding="utf-8"):
        pass

    assert mode(tmp_path / "a") == 0o600


def test_rights_can_be_taken_away(tmp_path: Path) -> None:
    """A file of an earlier release is its owner's from then on."""
    (tmp_path / "a").touch(mode=0o644)
    take_rights_away(tmp_path / "a")
    take_rights_away(tmp_path / "absent")

    assert mode(tmp_path / "a") == 0o600


@pytest.mark.parametrize(
    ("rights", "is_secret", "fault"),
    [
        (0o600, True, None),
        (0o640, True, None),
        (0o660, True, None),
        (
            0o604,
            True,
            "holds a key that everybody on this machine may read: chmod o-rwx",
        ),
        (0o644, False, None),
        (0o602, True, "may be changed by everybody on this machine: chmod o-w"),
        (0o666, False, "may be changed by everybody on this machine: chmod o-w"),
    ],
)
def test_unsafe_rights_have_a_line(
    tmp_path: Path, rights: int, *, is_secret: bool, fault: str | None
) -> None:
    """Rights of a group are safe, and those of everybody are not."""
    (tmp_path / "a").touch(mode=rights)

    assert fault_of_rights(tmp_path / "a", is_secret=is_secret) == fault


@pytest.mark.parametrize("path", ["absent", "a/b", "\0", "a" * 300])
def test_what_is_not_there_has_no_unsafe_rights(tmp_path: Path, path: str) -> None:
    """Another check says that it is absent."""
    (tmp_path / "a").touch()

    assert fault_of_rights(f"{tmp_path}/{path}", is_secret=True) is None


@pytest.mark.parametrize(("rights", "is_open"), [(0o770, False), (0o701, True)])
def test_a_folder_is_open_where_everybody_may_enter(
    tmp_path: Path, rights: int, *, is_open: bool
) -> None:
    """A group may share it, as a container platform does."""
    (tmp_path / "a").mkdir(mode=rights)

    assert is_open_to_others(tmp_path / "a") == is_open
    assert not is_open_to_others(tmp_path / "absent")
