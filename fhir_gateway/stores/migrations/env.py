"""
The script that Alembic runs for each command; only Alembic can import it.

`migrate` has begun the transaction and locked the database, so that the upgrade happens
in full or not at all.
"""

from alembic import context

from fhir_gateway.stores.audit.tables import metadata as audit
from fhir_gateway.stores.journal.tables import metadata as journal

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[journal, audit],
)
context.run_migrations()
