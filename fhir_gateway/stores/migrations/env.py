"""
What Alembic runs for each command; only Alembic can import it.

`migrate` has begun the transaction and has locked the database, so that the whole
upgrade takes place or none of it.
"""

from alembic import context

from fhir_gateway.stores.journal.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
)
context.run_migrations()
