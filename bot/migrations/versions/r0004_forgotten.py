"""What was forgotten on purpose, so that no backup brings it back."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the list of forgotten documents."""
    op.create_table(
        "forgotten",
        sa.Column("document", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("document", name="pk_forgotten"),
    )
