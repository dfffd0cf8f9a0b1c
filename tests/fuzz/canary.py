"""
What must be seen nowhere: a resident with data like nothing else, and who looks for it.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog
from redis import Redis
from structlog.typing import EventDict

__all__ = [
    "COMMENT",
    "FAMILY",
    "GIVEN",
    "NUMBER",
    "PHONE",
    "SENT_NUMBER",
    "SENT_TEXT",
    "Watch",
    "found",
    "markers_of",
    "process_titles",
    "watching",
]

NUMBER: Final = "198001019804"
FAMILY: Final = "Kanariefågel"
GIVEN: Final = "Gultofsa"
COMMENT: Final = "Sjunger om natten"
PHONE: Final = "08-465 004 99"

# Another person's, for bad input: no answer that refuses it may repeat it.
SENT_NUMBER: Final = "197501019801"
SENT_TEXT: Final = "Domherreman"


def markers_of(number: str, *texts: str) -> tuple[str, ...]:
    """Return the forms in which a number and texts could be written."""
    return (
        *(
            number,
            number[2:],
            f"{number[:8]}-{number[8:]}",
            f"{number[2:8]}-{number[8:]}",
        ),
        *(form for text in texts for form in _written(text)),
    )


def _written(text: str) -> Iterator[str]:
    yield text
    escaped = text.encode("ascii", "backslashreplace").decode()
    yield re.sub(r"\\x(..)", r"\\u00\1", escaped)


SECRETS: Final = markers_of(NUMBER, FAMILY, GIVEN, COMMENT, PHONE)
SENT: Final = markers_of(SENT_NUMBER, SENT_TEXT)


def found(text: str | bytes, markers: tuple[str, ...] = SECRETS + SENT) -> list[str]:
    """Return the markers that a text or some bytes hold."""
    if isinstance(text, bytes):
        return [marker for marker in markers if marker.encode() in text]
    return [marker for marker in markers if marker in text]


def process_titles() -> str:
    """Return the title of each process on this machine that one may read."""
    titles = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            titles.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(titles)


@dataclass
class Watch:
    """What a process has logged while it was watched, as far as it holds a marker."""

    tokens: set[str] = field(default_factory=set)
    events: int = 0
    leaks: list[str] = field(default_factory=list)

    def look(self, where: str, text: str | bytes) -> None:
        """Look through something."""
        leaked = found(text, SECRETS + SENT + tuple(self.tokens))
        self.leaks.extend(f"{where}: {each}" for each in leaked)

    def look_at_redis(self, url: str) -> None:
        """Look through every key of Redis, and every value."""
        with Redis.from_url(url) as redis:
            for key in redis.scan_iter():
                self.look("Redis, a key", key)
                self.look(f"Redis, {key!r}", _value_of(redis, key))

    def look_at_files(self, folder: Path) -> None:
        """Look through every file of a folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.look(path.name, path.read_bytes())


def _value_of(redis: Any, key: bytes) -> bytes:
    match redis.type(key):
        case b"string":
            value: bytes = redis.get(key)
            return value
        case b"stream":
            return repr(redis.xrange(key)).encode()
        case b"hash":
            return repr(redis.hgetall(key)).encode()
        case b"set":
            return repr(redis.smembers(key)).encode()
        case b"zset":
            return repr(redis.zrange(key, 0, -1)).encode()
        case b"list":
            return repr(redis.lrange(key, 0, -1)).encode()
        case b"none":
            # It has expired.
            return b""
        case kind:
            raise AssertionError(kind)


class _Handler(logging.Handler):
    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.DEBUG)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self._watch.events += 1
        self._watch.look(f"log of {record.name}", self.format(record))


@contextmanager
def watching() -> Iterator[Watch]:
    """Look through everything that is logged, from the least important on."""
    watch = Watch()

    def look(_: object, __: str, event: EventDict) -> EventDict:
        watch.events += 1
        watch.look("log", repr(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, look],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )
    root, handler = logging.getLogger(), _Handler(watch)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield watch
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        structlog.configure(**before)
