"""
The errors of OAuth 2.0 (RFC 6749, 4.1.2.1 and 5.2), by their own names.
"""

from enum import Enum

__all__ = ["ErrorName", "OAuthError"]


class ErrorName(Enum):
    """The value of `error`."""

    ACCESS_DENIED = "access_denied"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    INVALID_REQUEST = "invalid_request"
    INVALID_SCOPE = "invalid_scope"
    LOGIN_REQUIRED = "login_required"
    REQUEST_NOT_SUPPORTED = "request_not_supported"
    REQUEST_URI_NOT_SUPPORTED = "request_uri_not_supported"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"


class OAuthError(Exception):
    """
    A request that the issuer refuses.

    Args:
        name: The error.
        description: One sentence for the client's developer, in ASCII. It repeats
            nothing of the request.
    """

    def __init__(self, name: ErrorName, description: str) -> None:
        super().__init__(description)
        self.name = name
        self.description = description

    def as_mapping(self) -> dict[str, str]:
        """Return the members of an error response."""
        return {"error": self.name.value, "error_description": self.description}
