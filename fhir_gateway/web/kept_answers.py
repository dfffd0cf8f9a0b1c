"""
Kept answers: what was asked twice, and still is what a search would answer now.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["Answer", "KeptAnswers"]

_MOST_BYTES: Final = 8 * 2**20
# Beside its texts, what is kept takes places in tables.
_BESIDE_BYTES: Final = 500
_MOST_SEEN: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    A searchset, drawn.

    Attributes:
        version: The snapshot that it was drawn from.
        until: It holds in that snapshot before this instant, in seconds.
    """

    body: bytes
    etag: str
    version: int
    until: float


class KeptAnswers:
    """
    Keeps answers by what was understood of the questions.

    An answer is kept when the same is asked a second time, so that what is asked once
    costs no memory; what was used least recently goes first. Any thread may call.

    Args:
        holds: Whether an answer of a snapshot is still what a search would find:
            given the snapshot's version and until when the answer holds in it.
        most_bytes: How large all that are kept may be together, questions and all.
    """

    def __init__(
        self,
        holds: Callable[[int, float], bool],
        *,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._holds = holds
        self._most_bytes = most_bytes
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._bytes = 0
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, asked: str) -> Answer | None:
        """Return the answer to what was asked before, while it still holds."""
        with self._lock:
            answer = self._answers.get(asked)
            if answer is None:
                return None
            if self._holds(answer.version, answer.until):
                self._answers.move_to_end(asked)
                return answer
            self._drop(asked)
            return None

    def put(self, asked: str, answer: Answer) -> None:
        """Keep an answer, if the same was asked not long ago."""
        key = hash(asked)
        with self._lock:
            if key not in self._seen:
                self._seen[key] = None
                if len(self._seen) > _MOST_SEEN:
                    self._seen.popitem(last=False)
                return
            self._seen.move_to_end(key)
            if asked in self._answers:
                self._drop(asked)
            self._answers[asked] = answer
            self._bytes += _size(asked, answer)
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._answers)))

    def _drop(self, asked: str) -> None:
        self._bytes -= _size(asked, self._answers.pop(asked))


def _size(asked: str, answer: Answer) -> int:
    return len(asked) + len(answer.body) + _BESIDE_BYTES
