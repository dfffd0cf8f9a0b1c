"""
`fhir-gateway serve`, with a floor beside it.
"""

import os

from bench.app import running
from fhir_gateway.http_server import serve_http
from fhir_gateway.settings import Settings

if __name__ == "__main__":
    serve_http(Settings.from_environment(os.environ), running)
