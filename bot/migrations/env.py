"""Alembic's entry point: runs the revisions on the connection that `upgrade` passes."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite changes a table by making it anew.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
