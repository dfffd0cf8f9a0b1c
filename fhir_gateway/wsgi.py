"""
The WSGI application that a web server loads: `fhir_gateway.wsgi:application()`.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from fhir_gateway.bootstrap import program
from fhir_gateway.configured_stores import embedded_redis
from fhir_gateway.log import configure_logging
from fhir_gateway.settings import Settings, WrongSettings
from fhir_gateway.stores.slot_store import StoreUnavailable
from fhir_gateway.web.app import GatewayApp

__all__ = ["application", "running"]


@contextmanager
def running() -> Iterator[GatewayApp]:
    """
    Return a context with the application of this process; its view follows the store.

    At the end the context waits for the bookings under way, as long as they may take.

    Raises:
        WrongSettings: A setting is wrong, or unsafe to serve with.
    """
    configure_logging()
    settings = Settings.from_environment(os.environ)
    if faults := settings.serving_faults():
        raise WrongSettings(list(faults))
    with (
        embedded_redis(settings) as redis_url,
        program(settings, redis_url) as made,
        ExitStack() as stack,
    ):
        # The view loads before the server listens: the first search must find all
        # stored times.
        with suppress(StoreUnavailable):
            made.view.catch_up()
        made.view.start()
        stack.callback(made.view.stop)
        made.search_hints.start()
        stack.callback(made.search_hints.stop)
        if made.identity is not None:
            made.identity.start()
            stack.callback(made.identity.stop)
        yield made.app


def application() -> GatewayApp:
    """Return the same application; the end of the process closes it."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running())
