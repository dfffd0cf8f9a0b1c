"""
Secrets that can be used once, within a time: authorization codes and logins.
"""

import secrets
import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from fhir_gateway.model.timekeeping import Clock

__all__ = ["OneTimeSecrets"]

_MOST: Final = 1_000
_BYTES: Final = 32

Kept = TypeVar("Kept")


class OneTimeSecrets(Generic[Kept]):
    """
    Keeps values behind secrets.

    When there are more than 1,000, the oldest goes: a flood of logins fills no memory.

    Args:
        life: How long a secret can be used.
        clock: Returns the time.
    """

    def __init__(self, life: timedelta, clock: Clock) -> None:
        self._life = life
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[datetime, Kept]] = OrderedDict()

    def keep(self, value: Kept) -> str:
        """Return a new secret for a value."""
        secret = secrets.token_urlsafe(_BYTES)
        with self._lock:
            self._kept[secret] = self._clock() + self._life, value
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return secret

    def take(self, secret: str) -> Kept | None:
        """Return the value of a secret, the first time only; None for any other."""
        with self._lock:
            until, value = self._kept.pop(secret, (None, None))
        return value if until is not None and self._clock() < until else None
