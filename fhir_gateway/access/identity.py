"""
Who asks: the principal of a request.
"""

from typing import Final, Protocol

from fhir_gateway.model.principal import Principal, Role

__all__ = ["Identifies", "OpenDemo"]

_ANYONE: Final = Principal(role=Role.DEMO)


class Identifies(Protocol):
    """Finds out who asks."""

    def principal_of(
        self, authorization: str | None, certificate: bytes | None = None
    ) -> Principal:
        """
        Return who asks; the role is ANYBODY where the request has no token.

        Args:
            authorization: The value of the field `Authorization`; None without one.
            certificate: The client's certificate of mutual TLS, in DER, as a trusted
                proxy passes it; None without one.

        Raises:
            Unauthenticated: The field is no valid bearer token. The message repeats
                nothing of it.
            NotPermitted: The token is valid and gives no role.
            Unavailable: The keys of its issuer are not known yet.
        """


class OpenDemo:
    """Lets everybody do everything: only for a demo on this machine."""

    def principal_of(
        self,
        authorization: str | None,  # noqa: ARG002 - the Protocol's
        certificate: bytes | None = None,  # noqa: ARG002 - the Protocol's
    ) -> Principal:
        """Return a principal of role DEMO."""
        return _ANYONE
