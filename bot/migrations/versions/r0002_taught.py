"""Who taught each version."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the teacher to the versions."""
    op.add_column("version", sa.Column("taught_by", sa.String(), nullable=True))
