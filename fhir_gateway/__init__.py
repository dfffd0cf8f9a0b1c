"""
A FHIR R4 scheduling façade over the Swedish regions' RIV-TA booking contracts.
"""

from importlib.metadata import version
from typing import Final

__all__ = ["VERSION"]

VERSION: Final = version("fhir-gateway")
