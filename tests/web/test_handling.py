"""
How requests are handled: which may have to wait, and how large their bodies may be.
"""

import pytest

from fhir_gateway.fhir.limits import (
    MOST_FORM_BYTES,
    MOST_JSON_BYTES,
    MOST_SENT_BACK_BYTES,
)
from fhir_gateway.web.app import GatewayApp
from fhir_gateway.web.resource import Handling

_BY_MEMORY = Handling()
_BY_FORM = Handling(most_bytes=MOST_FORM_BYTES)
_WAITS = Handling(may_wait=True, most_bytes=MOST_JSON_BYTES)
_SENT_BACK = Handling(may_wait=True, most_bytes=MOST_SENT_BACK_BYTES)


@pytest.mark.parametrize(
    ("method", "path", "handling"),
    [
        # Until a database answers nothing that reads memory alone may be kept waiting.
        *((method, "Appointment/$find", _BY_MEMORY) for method in ("GET", "HEAD")),
        ("POST", "Appointment/$find", _BY_MEMORY),
        *((method, "Slot", _BY_FORM) for method in ("GET", "HEAD")),
        ("POST", "Slot/_search", _BY_FORM),
        ("POST", "HealthcareService/_search", _BY_FORM),
        ("GET", "Location/x", _BY_MEMORY),
        ("GET", "metadata", _BY_MEMORY),
        ("GET", "Slot/x", _WAITS),
        ("HEAD", "Slot/x", _WAITS),
        ("GET", "Appointment/x", _WAITS),
        ("POST", "Appointment", _WAITS),
        ("PATCH", "Appointment/x", _WAITS),
        ("PUT", "Appointment/x", _SENT_BACK),
        *(
            ("POST", f"Appointment{place}/${name}", _SENT_BACK)
            for place in ("", "/x")
            for name in ("hold", "book", "cancel", "reschedule")
        ),
        *((method, "Appointment/x/$find", _BY_MEMORY) for method in ("GET", "POST")),
        ("POST", "Appointment/x/y/$cancel", _BY_MEMORY),
        ("POST", "Appointment/<id>x", _BY_MEMORY),
        ("DELETE", "Appointment/x", _BY_MEMORY),
    ],
)
def test_a_request_is_handled_as_its_route(
    app: GatewayApp, method: str, path: str, handling: Handling
) -> None:
    """The most specific route decides, as it does where the request is answered."""
    assert app.handling(method, f"/fhir/{path}") == handling
