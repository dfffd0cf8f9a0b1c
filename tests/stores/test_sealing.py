"""
Sealing of personal fields, and the key file.
"""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fhir_gateway.stores.sealing import Seal, SealBroken, UnusableKey

OLD = Seal.new_key()
NEW = Seal.new_key()
FIELDS = {"number": "191212121212", "first_name": "Tolvan"}

_READ_KEY_FILE = """
import sys
from pathlib import Path
from fhir_gateway.stores.sealing import Seal

print("ready", flush=True)
sys.stdin.readline()
print(Seal.from_file(Path(sys.argv[1])).lookup("number", "1"))
"""


def test_seal_opens_what_it_sealed() -> None:
    """A sealed text opens to the fields that went in."""
    seal = Seal([NEW])

    assert seal.unseal(seal.seal(FIELDS)) == FIELDS


def test_sealed_text_differs_each_time() -> None:
    """Two sealed texts of the same fields are unlike, so equal rows do not show."""
    seal = Seal([NEW])

    assert seal.seal(FIELDS) != seal.seal(FIELDS)


def test_sealed_text_hides_values() -> None:
    """A sealed text holds none of its values in clear."""
    sealed = Seal([NEW]).seal(FIELDS)

    assert not any(value in sealed for value in FIELDS.values())


def test_first_key_seals() -> None:
    """What is sealed after a change of keys opens with the new key alone."""
    sealed = Seal([NEW, OLD]).seal(FIELDS)

    assert Seal([NEW]).unseal(sealed) == FIELDS


def test_older_key_opens() -> None:
    """What was sealed before a change of keys still opens."""
    sealed = Seal([OLD]).seal(FIELDS)

    assert Seal([NEW, OLD]).unseal(sealed) == FIELDS


def test_key_added_last_opens() -> None:
    """A process with the new key as its last one opens what the next one seals."""
    sealed = Seal([NEW, OLD]).seal(FIELDS)

    assert Seal([OLD, NEW]).unseal(sealed) == FIELDS


def test_unknown_key_breaks_seal() -> None:
    """A text that was sealed with another key does not open."""
    sealed = Seal([OLD]).seal(FIELDS)

    with pytest.raises(SealBroken, match="the key that it was sealed with is missing"):
        Seal([NEW]).unseal(sealed)


def test_lookup_is_steady() -> None:
    """The same value has the same hash in every process with the same key."""
    assert Seal([NEW]).lookup("number", "1") == Seal([NEW]).lookup("number", "1")


def test_lookup_depends_on_key() -> None:
    """Without the key a hash cannot be made by trying every number."""
    assert Seal([NEW]).lookup("number", "1") != Seal([OLD]).lookup("number", "1")


def test_lookup_depends_on_kind() -> None:
    """Equal values of two kinds have unlike hashes."""
    seal = Seal([NEW])

    assert seal.lookup("number", "1") != seal.lookup("request key", "1")


def test_lookups_survive_rotation() -> None:
    """After a change of keys a value is looked up under its old hash too."""
    assert Seal([OLD]).lookup("number", "1") in Seal([NEW, OLD]).lookups("number", "1")


def test_lookup_uses_first_key() -> None:
    """New rows are found by the newest key alone, so old keys can be retired."""
    assert Seal([NEW, OLD]).lookup("number", "1") == Seal([NEW]).lookup("number", "1")


def test_repr_hides_keys() -> None:
    """The repr of a seal shows how many keys it has, and none of them."""
    assert repr(Seal([NEW, OLD])) == "Seal(2 keys)"


def test_no_keys_are_refused() -> None:
    """A seal without a key says where to put one."""
    with pytest.raises(UnusableKey, match="there is no key: put the key"):
        Seal([])


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("secret", id="not base64"),
        pytest.param(NEW[:20], id="too short"),
        pytest.param(NEW + NEW, id="too long"),
        pytest.param("å" * 44, id="not ascii"),
    ],
)
def test_bad_key_is_refused_without_showing_it(bad: str) -> None:
    """A key that is none is named by its place, and not shown."""
    with pytest.raises(UnusableKey, match="key 2 is not a key") as caught:
        Seal([NEW, bad])

    assert bad not in str(caught.value)


def test_key_file_is_made(tmp_path: Path) -> None:
    """Where there is no key file one is made, and read the same the next time."""
    path = tmp_path / "keys"

    sealed = Seal.from_file(path).seal(FIELDS)

    assert Seal.from_file(path).unseal(sealed) == FIELDS


def test_key_file_is_for_owner_only(tmp_path: Path) -> None:
    """A key file that was made can be read by its owner only, with any umask."""
    path = tmp_path / "keys"
    before = os.umask(0)
    try:
        Seal.from_file(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_key_file_leaves_no_drafts(tmp_path: Path) -> None:
    """Making a key file leaves nothing else behind."""
    Seal.from_file(tmp_path / "keys")

    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_key_file_may_have_comments(tmp_path: Path) -> None:
    """Blank lines and comments in a key file are skipped."""
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"# newest first\n\n{NEW}\n  {OLD}  \n")

    assert repr(Seal.from_file(path)) == "Seal(2 keys)"


def test_key_file_is_made_once_by_many(tmp_path: Path) -> None:
    """Processes that start at once without a key file all get the same key."""
    path = tmp_path / "keys"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _READ_KEY_FILE, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate()[0] for process in processes]

    assert answers == [Seal.from_file(path).lookup("number", "1") + "\n"] * 4


def test_empty_key_file_is_refused(tmp_path: Path) -> None:
    """An empty key file is refused; it is not filled with a key of our own."""
    path = tmp_path / "keys"
    path.touch(mode=0o600)

    with pytest.raises(UnusableKey, match=r"the key file .*keys cannot be used"):
        Seal.from_file(path)

    assert path.read_bytes() == b""


def test_binary_key_file_is_refused(tmp_path: Path) -> None:
    """A key file that is no text is refused with what to do."""
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(UnusableKey, match="put back the file"):
        Seal.from_file(path)


def test_missing_directory_is_named(tmp_path: Path) -> None:
    """When no key file can be made, the error says what to do."""
    with pytest.raises(UnusableKey, match="see that its directory exists"):
        Seal.from_file(tmp_path / "missing" / "keys")


def test_directory_is_no_key_file(tmp_path: Path) -> None:
    """A directory in the key file's place is refused."""
    with pytest.raises(UnusableKey, match="is a folder: move it away"):
        Seal.from_file(tmp_path)
