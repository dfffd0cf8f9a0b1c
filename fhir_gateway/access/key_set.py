"""
The keys of an issuer: its JSON Web Key Set (RFC 7517), fetched once a minute.

A thread of its own fetches them, so that no request waits, and nothing that a token
says can cause a call. The keys of the last successful call go on serving while the
issuer is away; a key that the issuer withdraws is gone after the next one.
"""

import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhir_gateway.access.issuers import Issuer
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.model.json_reading import UnreadableJson, read_json
from fhir_gateway.rivta.transport import Credentials, Transport

__all__ = ["Key", "KeySet", "Keys", "UnusableKeys", "key_set_fetch", "keys_from_json"]

_log = structlog.get_logger()

Key = RSAKey | ECKey

EVERY_S: Final = 60.0
"""Seconds between two calls to an issuer."""

# Until the first keys are there, all its tokens are answered 503.
_FIRST_RETRY_S: Final = 1.0
_WITHIN_S: Final = 10.0
_MOST_BYTES: Final = 262_144
_MOST_KEYS: Final = 100
_MOST_KID: Final = 256
_RSA_BITS: Final = range(2048, 4097)
# In base64url.
_LEAST_MODULUS: Final = 342
_MOST_CHARACTERS: Final = 684
# NIST SP 800-56B: above 2**16. One of a few bits more makes each check slower.
_RSA_EXPONENTS: Final = range(65_537, 2**32)
_HEADERS: Final = {"Accept": "application/jwk-set+json, application/json"}
# RFC 7518, section 3: the key that each algorithm needs.
_KEY_TYPES: Final = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
}
_PUBLIC: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}


class UnusableKeys(ValueError):
    """An answer is no key set; the message says why, and repeats nothing of it."""


class Keys:
    """
    The usable keys of an issuer at one time.

    Args:
        by_id: Each key by its `kid` and an algorithm.
        left_out: How many keys of the set are not among them.
    """

    def __init__(
        self, by_id: Mapping[tuple[str | None, str], Key], *, left_out: int = 0
    ) -> None:
        self._by_id = by_id
        self.left_out = left_out

    def __len__(self) -> int:
        return len({id(key) for key in self._by_id.values()})

    def key(self, kid: str | None, algorithm: str) -> Key | None:
        """
        Return the key that checks a token; None where there is none.

        Args:
            kid: The token's; without one the key must be the only one that fits.
            algorithm: The token's.
        """
        if kid is not None:
            return self._by_id.get((kid, algorithm))
        fitting = [key for (_, name), key in self._by_id.items() if name == algorithm]
        return fitting[0] if len(fitting) == 1 else None


def keys_from_json(body: bytes, algorithms: tuple[str, ...]) -> Keys:
    """
    Return the keys of a key set that can check signatures.

    All others are left out: of another type, curve or use, too weak, private, or with
    the `kid` of an earlier one.

    Args:
        body: The document.
        algorithms: Those that the issuer may sign with.

    Raises:
        UnusableKeys: The document is no key set.
    """
    try:
        document = read_json(body)
    except UnreadableJson as error:
        raise UnusableKeys(f"it cannot be read: {error}") from error
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise UnusableKeys("it has no list of keys")
    if len(listed) > _MOST_KEYS:
        raise UnusableKeys(f"it has more than {_MOST_KEYS} keys")
    by_id: dict[tuple[str | None, str], Key] = {}
    left_out = 0
    for each in listed:
        key = _usable_key(each)
        kid = each.get("kid") if isinstance(each, dict) else None
        names = [name for name in algorithms if key and _fits(each, name)]
        if key is None or not names or any((kid, name) in by_id for name in names):
            left_out += 1
            continue
        by_id.update(dict.fromkeys(((kid, name) for name in names), key))
    return Keys(by_id, left_out=left_out)


def _usable_key(jwk: object) -> Key | None:
    """Return the key for signatures that a JWK holds; None where it holds none."""
    if not isinstance(jwk, dict):
        return None
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    key_type = jwk.get("kty")
    if (
        key_type not in ("RSA", "EC")
        # Who publishes a private key lets everybody sign with it.
        or "d" in jwk
        or jwk.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
        or not (kid is None or (isinstance(kid, str) and 0 < len(kid) <= _MOST_KID))
    ):
        return None
    # Without what else a JWK has: certificates, URLs of them, and what joserfc checks.
    public = {"kty": key_type} | {name: jwk.get(name) for name in _PUBLIC[key_type]}
    if not all(
        isinstance(value, str) and value and len(value) <= _MOST_CHARACTERS
        for value in public.values()
    ):
        return None
    # joserfc would import it with a warning.
    if key_type == "RSA" and len(public["n"]) < _LEAST_MODULUS:
        return None
    try:
        key: Key = (RSAKey if key_type == "RSA" else ECKey).import_key(public)
    except (JoseError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return key if _is_strong(key) else None


def _is_strong(key: Key) -> bool:
    public = key.public_key
    if not isinstance(public, RSAPublicKey):
        return True
    return public.key_size in _RSA_BITS and public.public_numbers().e in _RSA_EXPONENTS


def _fits(jwk: Mapping[str, Any], algorithm: str) -> bool:
    wanted = (*_KEY_TYPES[algorithm], algorithm)
    curve = jwk["crv"] if jwk["kty"] == "EC" else None
    return (jwk["kty"], curve, jwk.get("alg", algorithm)) == wanted


def key_set_fetch(
    issuer: Issuer, *, within_s: float = _WITHIN_S
) -> Callable[[], bytes]:
    """
    Return the function that fetches the key set of an issuer over HTTP.

    It follows no redirect, and reads no proxy from the environment. It raises
    `UnusableKeys`, `OSError`, `ValueError` or an error of urllib3.

    Args:
        issuer: The issuer.
        within_s: Seconds for the whole answer.
    """
    transport = Transport(
        Credentials(trust=str(issuer.trust) if issuer.trust is not None else None)
    )

    def fetch() -> bytes:
        reply = transport.get(
            issuer.jwks_uri, _HEADERS, timeout=within_s, most_bytes=_MOST_BYTES
        )
        if reply.status != HTTPStatus.OK:
            raise UnusableKeys(f"the answer has the status {reply.status}")
        if len(reply.body) > _MOST_BYTES:
            raise UnusableKeys(f"it has more than {_MOST_BYTES} bytes")
        return reply.body

    return fetch


class KeySet:
    """
    The keys of one issuer, kept up to date by a thread of its own.

    Args:
        issuer: The issuer.
        fetch: Returns its key set; None to ask `jwks_uri`.
        every_s: Seconds between two calls.

    Attributes:
        issuer: The issuer.
        keys: Its keys; None until they were fetched for the first time. It is another
            object when they may have changed.
    """

    def __init__(
        self,
        issuer: Issuer,
        fetch: Callable[[], bytes] | None = None,
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self.issuer = issuer
        self.keys: Keys | None = None
        self._fetch = fetch or key_set_fetch(issuer)
        self._every_s = every_s
        self._body = b""
        self._is_away = False
        self._stopped = threading.Event()
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Fetch the keys again and again, in a thread of its own, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until the first call has ended, well or not."""
        self._asked.wait(timeout_s)

    def stop(self) -> None:
        """Stop fetching; a call in progress is not waited for."""
        self._stopped.set()

    def refresh(self) -> None:
        """Fetch the keys once; after a failure the earlier ones stay."""
        try:
            body = self._fetch()
            if self.keys is None or body != self._body:
                self._replace(body)
        except Exception as error:  # noqa: BLE001 - without its thread, withdrawn keys would serve for ever
            self._report_failure(error)
        else:
            if self._is_away:
                _log.info("issuer's keys fetched again", issuer=self.issuer.issuer)
            self._is_away = False

    def _replace(self, body: bytes) -> None:
        keys = keys_from_json(body, self.issuer.algorithms)
        self.keys, self._body = keys, body
        issuer = self.issuer.issuer
        if len(keys):
            _log.info(
                "issuer's keys read",
                issuer=issuer,
                keys=len(keys),
                left_out=keys.left_out,
            )
        else:
            _log.error("issuer has no usable key", issuer=issuer, listed=keys.left_out)

    def _report_failure(self, error: Exception) -> None:
        if not self._is_away:
            _log.warning(
                "issuer's keys cannot be fetched",
                issuer=self.issuer.issuer,
                reason=str(error) if isinstance(error, UnusableKeys) else None,
                **fault_place(error),
            )
        self._is_away = True

    def _run(self) -> None:
        retry_s = min(_FIRST_RETRY_S, self._every_s)
        while True:
            self.refresh()
            self._asked.set()
            pause_s = self._every_s if self.keys is not None else retry_s
            retry_s = min(2 * retry_s, self._every_s)
            if self._stopped.wait(pause_s):
                return
