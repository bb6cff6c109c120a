"""Runs migrations on the connection it is given (`app.adapters.db.migrate`), inside that connection's transaction."""

from alembic import context

from app.adapters.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can roll schema changes back as well; Alembic assumes it cannot.
    transactional_ddl=True,
    # SQLite alters most things by rebuilding the table. A rebuild drops its triggers: make them again.
    render_as_batch=True,
)

with context.begin_transaction():
    context.run_migrations()
