"""
Mandates: that one person may act for another.
"""

from dataclasses import dataclass
from datetime import datetime

from fhir_gateway.model.grant import Basis

__all__ = ["Mandate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """
    That one person may act for another.

    Attributes:
        basis: GUARDIAN or PROXY.
        valid_until: When it ends: for a guardian at the child's 13th birthday.
    """

    basis: Basis
    valid_until: datetime | None = None
