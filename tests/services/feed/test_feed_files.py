"""
Feed files: made once, in the background, kept until their contents change.
"""

import gzip
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest
from builders import NOW
from doubles import MovableClock

from fhir_gateway.model.errors import Busy, Unavailable
from fhir_gateway.services.feed.feed_files import Contents, FeedFiles
from fhir_gateway.services.feed.spool import Spool

NAME: Final = "Slot.norr.2026-W49.ndjson"


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(name="files")
def _files(tmp_path: Path, clock: MovableClock) -> Iterator[FeedFiles]:
    files = FeedFiles(tmp_path, pause=lambda _: None, clock=clock)
    yield files
    files.close()


def holding(*pieces: bytes, key: object = None) -> Callable[[], Contents]:
    """Return what gives contents of some pieces."""
    return lambda: Contents(key=key or pieces, pieces=pieces)


def never() -> Contents:
    """Fail: the file should not be made."""
    raise AssertionError("the file was made again")


def test_a_file_has_its_pieces_compressed(files: FeedFiles) -> None:
    """It is the pieces one after the other, in gzip, and plain on request."""
    file = files.get(NAME, 1, holding(b"a\n", b"b\n"))

    assert gzip.decompress(file.body) == file.text == b"a\nb\n"
    assert file.modified_at == NOW


def test_a_file_of_the_same_publication_is_not_made_again(files: FeedFiles) -> None:
    """It is kept."""
    first = files.get(NAME, 1, holding(b"a"))

    assert files.get(NAME, 1, never) == first


def test_a_file_with_the_same_key_is_not_rendered_again(files: FeedFiles) -> None:
    """A later publication only compares the keys."""

    def pieces() -> Iterator[bytes]:
        raise AssertionError("the file was rendered again")
        yield b""

    first = files.get(NAME, 1, holding(b"a", key="k"))
    later = files.get(NAME, 2, lambda: Contents(key="k", pieces=pieces()))

    assert later == first
    assert files.get(NAME, 2, never) == first


def test_a_changed_file_has_another_tag_and_date(
    files: FeedFiles, clock: MovableClock
) -> None:
    """What is in it decides, not that it was made."""
    first = files.get(NAME, 1, holding(b"a"))
    clock.forward(minutes=1)
    same = files.get(NAME, 2, holding(b"a", key="another"))
    changed = files.get(NAME, 3, holding(b"b"))

    assert (same.etag, same.modified_at) == (first.etag, first.modified_at)
    assert changed.etag != first.etag
    assert changed.modified_at > first.modified_at


def test_tags_are_the_same_in_every_process(files: FeedFiles, tmp_path: Path) -> None:
    """The text alone makes the tag."""
    other = FeedFiles(tmp_path / "other", pause=lambda _: None)
    etags = {
        each.get(NAME, 1, holding(*pieces)).etag
        for each, pieces in ((files, (b"ab",)), (other, (b"a", b"b")))
    }
    other.close()

    assert len(etags) == 1


class Slow:
    """Contents that are ready once a test says so."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> Contents:
        """Return the contents."""
        return Contents(key=self.text, pieces=self._pieces())

    def _pieces(self) -> Iterable[bytes]:
        self.begun.set()
        self.may_end.wait(10)
        yield self.text


def test_the_file_before_is_served_while_the_next_is_made(files: FeedFiles) -> None:
    """Nobody waits for long where there is something to serve."""
    first = files.get(NAME, 1, holding(b"a"))
    slow = Slow(b"b")
    meanwhile = files.get(NAME, 2, slow)
    slow.may_end.set()
    later = files.get(NAME, 2, slow)

    assert meanwhile == first
    assert later.text == b"b"


def test_a_file_of_long_ago_is_not_served(tmp_path: Path, clock: MovableClock) -> None:
    """Who asks after a while waits, or is asked to come again."""
    files = FeedFiles(tmp_path, most_waiting=1, pause=lambda _: None, clock=clock)
    files.get(NAME, 1, holding(b"a"))
    clock.forward(minutes=6)
    slow = Slow(b"b")
    first = threading.Thread(target=lambda: files.get(NAME, 2, slow))
    first.start()
    assert slow.begun.wait(10)
    with pytest.raises(Busy):
        files.get(NAME, 2, slow)
    slow.may_end.set()
    first.join()
    files.close()


def test_an_old_publication_is_not_made_any_more(tmp_path: Path) -> None:
    """What waits in the queue when there is a newer publication is left out."""
    files = FeedFiles(tmp_path, most_waiting=1, pause=lambda _: None)
    slow = Slow(b"a")
    first = threading.Thread(target=lambda: files.get("first", 1, slow))
    first.start()
    assert slow.begun.wait(10)
    for version, contents in ((1, never), (2, holding(b"b"))):
        with pytest.raises(Busy):
            files.get(NAME, version, contents)
    slow.may_end.set()
    first.join()

    assert files.get(NAME, 2, holding(b"b")).text == b"b"
    files.close()


def test_one_file_is_made_once_for_all_who_ask(files: FeedFiles) -> None:
    """Two requests for one file wait for the same one."""
    slow = Slow(b"a")
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(files.get(NAME, 1, slow)))
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    assert slow.begun.wait(10)
    slow.may_end.set()
    for each in threads:
        each.join()

    assert made[0] == made[1]


def test_few_requests_wait_at_once(tmp_path: Path) -> None:
    """The others are asked to come again, so that they leave threads to bookings."""
    files = FeedFiles(tmp_path, most_waiting=1, pause=lambda _: None)
    slow = Slow(b"a")
    first = threading.Thread(target=lambda: files.get(NAME, 1, slow))
    first.start()
    assert slow.begun.wait(10)
    with pytest.raises(Busy):
        files.get(NAME, 1, slow)
    slow.may_end.set()
    first.join()

    assert files.get(NAME, 1, never).text == b"a"
    files.close()


def test_a_failure_is_not_kept(files: FeedFiles) -> None:
    """The next request makes the file."""

    def failing() -> Contents:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        files.get(NAME, 1, failing)

    assert files.get(NAME, 1, holding(b"a")).text == b"a"


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """503, and not a fault of the program."""
    (tmp_path / "file").write_bytes(b"")
    files = FeedFiles(tmp_path / "file" / "folder", pause=lambda _: None)
    with pytest.raises(Unavailable, match="no room"):
        files.get(NAME, 1, holding(b"a"))
    files.close()


def test_files_that_are_no_longer_published_are_forgotten(files: FeedFiles) -> None:
    """They are made anew if they are published again."""
    files.get(NAME, 1, holding(b"a"))
    files.keep_only(["Slot.norr.2026-W50.ndjson"])

    assert files.get(NAME, 1, holding(b"b")).text == b"b"


def test_the_pause_is_as_long_as_the_work(tmp_path: Path) -> None:
    """After each piece the thread leaves the processor to searches."""
    pauses: list[float] = []
    files = FeedFiles(tmp_path, pause=pauses.append)
    files.get(NAME, 1, holding(b"a", b"b", b"c"))
    files.close()

    assert len(pauses) == 3
    assert all(0 < each <= 0.02 for each in pauses)


def test_the_disk_holds_little_more_than_what_is_kept(
    files: FeedFiles, tmp_path: Path
) -> None:
    """Old versions give their room back; the files have no name in the folder."""
    noise = [os.urandom(2**20) for _ in range(3)]
    for version in range(40):
        files.get(NAME, version, holding(noise[version % 3], key=version))
    other = files.get("Location.norr.ndjson", 39, holding(b"a"))

    assert files.spooled_bytes < 20 * 2**20
    assert files.get(NAME, 39, never).text == noise[39 % 3]
    assert files.get("Location.norr.ndjson", 39, never) == other
    assert list(tmp_path.iterdir()) == []


def test_a_spool_returns_what_was_appended(tmp_path: Path) -> None:
    """Each place has its bytes."""
    spool = Spool(tmp_path)
    places = [spool.append(text) for text in (b"one", b"", b"three")]

    assert [spool.read(each) for each in places] == [b"one", b"", b"three"]
    spool.close()
