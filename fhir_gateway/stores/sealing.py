"""
Sealing: personal fields are encrypted in the database, and can still be looked up.

A key file has one key per line, the newest first; blank lines and lines that begin
with `#` are skipped. The first key seals. Opening and looking up try every key.

To change keys without a stop, restart twice: first with the new key as the *last*
line, so that every process can open what the new key will seal; then with the new key
as the first line. Keep an old key in the file until `fhir-gateway journal reseal` has
sealed every row with the new one.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.private_file import fault_of_rights

__all__ = ["Seal", "SealBroken", "UnusableKey"]

# Fernet itself reads two keys on one line as the first of them.
_KEY: Final = re.compile(r"[A-Za-z0-9_\-]{43}=")
_LOOKUP: Final = b"fhir-gateway journal lookup"
_OWNER_ONLY: Final = 0o600


class UnusableKey(ValueError):
    """
    The keys or their file cannot be used.

    Attributes:
        faults: One sentence each, which says what to do; none holds a key.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class SealBroken(GatewayError):
    """
    A row was sealed with a key that is not among ours, or has been tampered with.

    It is not the caller's fault: the key file does not belong to the database.
    """


class Seal:
    """
    Encrypts personal fields, and makes the keyed hashes to look them up by.

    Args:
        keys: Fernet keys, the newest first.

    Raises:
        UnusableKey: There is no key, or one of them is not a Fernet key.
    """

    __slots__ = ("_fernet", "_lookup_keys", "_newest")

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise UnusableKey(
                [
                    (
                        "there is no key: put the key that the database was sealed"
                        " with on the first line, or remove the file to have a new one"
                        " made"
                    )
                ]
            )
        faults = [
            f"key {position} is not a key: expected 32 bytes in URL-safe base64, as"
            " docs/running.md says how to make them"
            for position, key in enumerate(keys, start=1)
            if not _KEY.fullmatch(key)
        ]
        if faults:
            raise UnusableKey(faults)
        self._newest = Fernet(keys[0])
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        # Every key has its own lookup key, and a lookup tries them all. A lookup key
        # from the oldest key alone would give one hash per number for ever. But then
        # nobody could retire that key, and a new last line (the first step of a
        # change without a stop) would hide every booking.
        self._lookup_keys = tuple(_lookup_key(key) for key in keys)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._lookup_keys)} keys)"

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """
        Return a seal with the keys in a file; make the file when there is none.

        A new file holds one random key, and only its owner can read it. Several
        processes that start at once all get the same key.

        Raises:
            UnusableKey: The file cannot be read or made, everybody on this machine may
                read it, or what it holds is no key.
        """
        if path.is_dir():
            raise UnusableKey(
                [
                    (
                        f"the key file {path} is a folder: move it away, and put the"
                        " file of the keys in place if there is one"
                    )
                ]
            )
        try:
            if not path.exists():
                _create(path)
            if fault := fault_of_rights(path, is_secret=True):
                raise UnusableKey([f"the key file {path} {fault}"])
            text = path.read_text(encoding="ascii")
        except OSError as error:
            raise UnusableKey(
                [
                    (
                        f"the key file {path} cannot be read or made"
                        f" ({error.strerror}): see that its directory exists and that"
                        " this process may write there, or put the file in place and"
                        " let this process read it"
                    )
                ]
            ) from error
        except UnicodeDecodeError:
            raise UnusableKey(
                [
                    (
                        f"the key file {path} is not text: put back the file that the"
                        " database was sealed with"
                    )
                ]
            ) from None
        lines = (line.strip() for line in text.splitlines())
        try:
            return cls([line for line in lines if line and not line.startswith("#")])
        except UnusableKey as error:
            raise UnusableKey(
                [f"the key file {path} cannot be used: {each}" for each in error.faults]
            ) from None

    @staticmethod
    def new_key() -> str:
        """Return a new random key, for the key file."""
        return Fernet.generate_key().decode()

    def seal(self, fields: Mapping[str, str]) -> str:
        """Return the fields as one encrypted text, which differs each time."""
        return self._fernet.encrypt(json.dumps(dict(fields)).encode()).decode()

    def unseal(self, text: str) -> dict[str, str]:
        """
        Return the fields that `seal` was given.

        Raises:
            SealBroken: None of our keys opens it.
        """
        try:
            opened = self._fernet.decrypt(text)
        except InvalidToken:
            raise SealBroken(
                "A stored booking cannot be opened with the keys of this server: the"
                " key that it was sealed with is missing."
            ) from None
        fields: dict[str, str] = json.loads(opened)
        return fields

    def is_newest(self, text: str) -> bool:
        """Return whether a text was sealed with the newest of our keys."""
        try:
            self._newest.decrypt(text)
        except InvalidToken:
            return False
        return True

    def lookup(self, kind: str, value: str) -> str:
        """
        Return the keyed hash to store beside a sealed value.

        Args:
            kind: What the value is; equal values of two kinds have different hashes.
            value: The value to look up.
        """
        return self.lookups(kind, value)[0]

    def lookups(self, kind: str, value: str) -> tuple[str, ...]:
        """Return each hash that the value may be stored under, one per key."""
        # A name in a token may hold half of a surrogate pair.
        message = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        return tuple(
            hmac.new(key, message, hashlib.sha256).hexdigest()
            for key in self._lookup_keys
        )


def _lookup_key(key: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=_LOOKUP)
    return derivation.derive(urlsafe_b64decode(key))


def _create(path: Path) -> None:
    # Written in full beside its place, then linked into it. A link fails when the name
    # is taken: the first process wins, and none reads half a key.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(Seal.new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        # Without the key nobody can open any booking. So the directory's entry must
        # outlive a power cut too.
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        draft.unlink()
