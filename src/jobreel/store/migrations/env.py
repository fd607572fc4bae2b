"""Alembic's entry: runs the steps on the connection that `migrations.upgrade` hands in."""

from alembic import context

from jobreel.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
