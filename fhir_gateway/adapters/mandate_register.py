"""
Asks a register whether one person may act for another, with one POST of JSON.

No national contract for this is public yet, so the exchange is our own, and small:

    {"actor": "<12 digits>", "subject": "<12 digits>", "at": "<instant>"}
    {"basis": "guardian", "validUntil": "<instant>"}
    {"basis": null}

`basis` is `guardian` or `proxy`, or null where the person may not act; `validUntil`
may be absent for a proxy. The sandbox has such a register. Each request asks it anew,
so that a mandate that has ended is never used.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import orjson
import urllib3

from fhir_gateway.model.errors import Party, Unavailable
from fhir_gateway.model.grant import Basis
from fhir_gateway.model.json_reading import UnreadableJson, read_json
from fhir_gateway.model.mandate import Mandate
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import exact_instant_text, instant_from_text
from fhir_gateway.rivta.transport import Reply, Transport

__all__ = ["MandateRegister"]

_TIMEOUT_S: Final = 3.0
_MOST_BYTES: Final = 4_096
_BASES: Final = {each.value: each for each in (Basis.GUARDIAN, Basis.PROXY)}
_MOST_CHARACTERS: Final = 40


class MandateRegister:
    """
    A register of guardians and proxies; it produces `access.may_act.MayAct`.

    Args:
        url: Where to post.
        transport: Posts.
    """

    def __init__(self, url: str, transport: Transport | None = None) -> None:
        self._url = url
        self._transport = transport or Transport()

    def mandate(
        self,
        actor: PersonalIdentityNumber,
        subject: PersonalIdentityNumber,
        at: datetime,
    ) -> Mandate | None:
        """
        Return the mandate of one person to act for another at a time.

        Raises:
            Unavailable: The register could not be asked, or its answer cannot be read.
        """
        document = orjson.dumps(
            {
                "actor": actor.reveal(),
                "subject": subject.reveal(),
                "at": exact_instant_text(at),
            }
        )
        try:
            reply = self._transport.post(
                self._url,
                document,
                {"Content-Type": "application/json", "Accept": "application/json"},
                timeout=_TIMEOUT_S,
                most_bytes=_MOST_BYTES,
            )
        except (OSError, ValueError, urllib3.exceptions.HTTPError):
            # Not chained: an exception of the transport may quote the request.
            raise _unavailable() from None
        mandate = _mandate_from_reply(reply)
        if mandate is not None and mandate.valid_until is not None:
            return mandate if at < mandate.valid_until else None
        return mandate


def _mandate_from_reply(reply: Reply) -> Mandate | None:
    if reply.status != HTTPStatus.OK or len(reply.body) > _MOST_BYTES:
        raise _unavailable()
    try:
        answer = read_json(reply.body)
    except UnreadableJson:
        raise _unavailable() from None
    if not isinstance(answer, dict) or "basis" not in answer:
        raise _unavailable()
    if answer["basis"] is None:
        return None
    basis = _BASES.get(answer["basis"]) if isinstance(answer["basis"], str) else None
    until = _end(answer)
    # A guardian without an end would still be one when the child has turned 13.
    if basis is None or (basis is Basis.GUARDIAN and until is None):
        raise _unavailable()
    return Mandate(basis=basis, valid_until=until)


def _end(answer: Mapping[str, Any]) -> datetime | None:
    text = answer.get("validUntil")
    if text is None:
        return None
    if isinstance(text, str) and len(text) <= _MOST_CHARACTERS:
        until = instant_from_text(text)
        if until is not None:
            return until
    raise _unavailable()


def _unavailable() -> Unavailable:
    return Unavailable(
        "The register of guardians and proxies gives no answer that can be used now;"
        " try again, or act for yourself.",
        party=Party.GATEWAY,
    )
