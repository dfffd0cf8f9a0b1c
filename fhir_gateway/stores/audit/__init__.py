"""
The audit trail: a row for each grant and each refusal that concerns a person.

The rows form a chain: each holds a hash of its content and of the row before. Two
anchors, apart from the rows, say where the chain starts and where it ends. A keyed hash
protects each row's hash and each anchor: nobody without this server's keys can change,
add, move or remove a row, so that `verify` would not find it. One attack remains:
putting back a whole older state of the database. To find that, compare the head with
one that was noted elsewhere, as the worker's log has it.
"""

from fhir_gateway.stores.audit.anchors import ChainBroken, Link
from fhir_gateway.stores.audit.audit_store import AuditStore
from fhir_gateway.stores.audit.group_commit import NotWritten
from fhir_gateway.stores.audit.upkeep import AuditUpkeep
from fhir_gateway.stores.audit.verification import (
    Fault,
    Verification,
    verify,
)

__all__ = [
    "AuditStore",
    "AuditUpkeep",
    "ChainBroken",
    "Fault",
    "Link",
    "NotWritten",
    "Verification",
    "verify",
]
