"""
The WSGI object that a web server loads: `fhir_gateway.wsgi:application()`.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from fhir_gateway.bootstrap import embedded_redis, program
from fhir_gateway.log import configure_logging
from fhir_gateway.settings import Settings
from fhir_gateway.stores.slot_store import StoreUnavailable
from fhir_gateway.web.app import GatewayApp

__all__ = ["application", "running"]


@contextmanager
def running() -> Iterator[GatewayApp]:
    """
    Give the application of this process, with its view following the store.

    In the end the bookings under way are waited for, as long as they may take.
    """
    configure_logging()
    settings = Settings.from_environment(os.environ)
    with (
        embedded_redis(settings) as redis_url,
        program(settings, redis_url) as made,
        ExitStack() as stack,
    ):
        # Before anybody is listened to: the first search must not miss what is known.
        with suppress(StoreUnavailable):
            made.view.catch_up()
        made.view.start()
        stack.callback(made.view.stop)
        made.search_hints.start()
        stack.callback(made.search_hints.stop)
        yield made.app


def application() -> GatewayApp:
    """Return the same application, let go of when the process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running())
