"""The bot's own tables: inbox, outbox, what was said, ratings."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of `bot.tables`."""
    op.create_table(
        "event",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("edition", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=True),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_event"),
        sa.UniqueConstraint("platform", "id", name="uq_event_platform"),
        sa.UniqueConstraint(
            "platform", "team", "channel", "message", "edition", name="uq_event_message"
        ),
    )
    op.create_index("ix_event_done_at", "event", ["done_at"])
    op.create_table(
        "delivery",
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("conversation", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("reply", sa.JSON(), nullable=True),
        sa.Column("begun_at", sa.Float(), nullable=False),
        sa.Column("done_at", sa.Float(), nullable=True),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "request", name="pk_delivery"),
    )
    op.create_index("ix_delivery_message", "delivery", ["platform", "team", "channel", "message"])
    op.create_index("ix_delivery_conversation", "delivery", ["platform", "conversation"])
    op.create_index("ix_delivery_done_at", "delivery", ["done_at"])
    op.create_table(
        "turn",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("conversation", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.Column("documents", sa.JSON(), nullable=False),
        sa.Column("said_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_turn"),
        sa.UniqueConstraint("platform", "request", name="uq_turn_platform"),
    )
    op.create_index("ix_turn_conversation", "turn", ["platform", "conversation"])
    op.create_index("ix_turn_user", "turn", ["platform", "user"])
    op.create_index("ix_turn_said_at", "turn", ["said_at"])
    op.create_table(
        "rating",
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("thumb", sa.Integer(), nullable=True),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.Column("documents", sa.JSON(), nullable=False),
        sa.Column("rated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "request", "user", name="pk_rating"),
    )
