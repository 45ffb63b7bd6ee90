"""Terms and passages are counted for each scope, so that nobody's answers depend on others'."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin the counts anew: those of terms are made when the index is opened."""
    op.drop_table("term")
    op.create_table(
        "term",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", "scope", name="pk_term"),
    )
    op.create_table(
        "tally",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("passages", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_tally"),
    )
    op.execute(
        "INSERT INTO tally (scope, passages, generation) "
        "SELECT document.scope, SUM(version.chunks), 1 FROM document "
        "JOIN version ON version.id = document.live_version GROUP BY document.scope"
    )
    op.execute("DELETE FROM counter")
    op.execute("INSERT INTO counter (name, value) VALUES ('uncounted', 1)")
