"""
The WSGI object that a web server loads: `fhir_gateway.wsgi:application()`.
"""

import atexit
import os
from contextlib import ExitStack

from flask import Flask

from fhir_gateway.bootstrap import embedded_redis, program
from fhir_gateway.log import configure_logging
from fhir_gateway.settings import Settings

__all__ = ["application"]


def application() -> Flask:
    """
    Return the application of this process, with its view following the store.

    Everything it stands on is let go of when the process ends.
    """
    configure_logging()
    settings = Settings.from_environment(os.environ)
    stack = ExitStack()
    atexit.register(stack.close)
    made = stack.enter_context(
        program(settings, stack.enter_context(embedded_redis(settings)))
    )
    made.view.start()
    made.search_demand.start()
    stack.callback(made.view.stop)
    stack.callback(made.search_demand.stop)
    return made.app
