"""Traditional and simplified characters are one term: terms are counted again."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have the terms counted anew when the index is opened."""
    op.execute("DELETE FROM counter WHERE name = 'uncounted'")
    op.execute("INSERT INTO counter (name, value) VALUES ('uncounted', 1)")
