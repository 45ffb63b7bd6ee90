"""Replies are kept as they were given, and summaries can be rated like answers."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a turn was asked with, and its whole reply."""
    for table in ("turn", "rating"):
        command = sa.Column("command", sa.String(), nullable=False, server_default="ask")
        op.add_column(table, command)
    op.add_column("turn", sa.Column("reply", sa.JSON(), nullable=True))
