"""The bot's own tables, beside those of `rag.schema` in the same database.

Times are seconds since 1970, so that a retention is a comparison.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

event = Table(
    "event",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("platform", String, nullable=False),
    Column("id", String, nullable=False),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    # Null for commands and buttons, which no two events share.
    Column("message", String),
    Column("edition", String, nullable=False),
    Column("kind", String, nullable=False),
    # SQL's null once it is done.
    Column("payload", JSON(none_as_null=True)),
    Column("starts", Integer, nullable=False),
    Column("done_at", Float),
    UniqueConstraint("platform", "id"),
    UniqueConstraint("platform", "team", "channel", "message", "edition", name="uq_event_message"),
    Index("ix_event_done_at", "done_at"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("platform", String, primary_key=True),
    Column("request", String, primary_key=True),
    # The question's message, so that an edit or a deletion of it finds its answer.
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("message", String),
    Column("conversation", String, nullable=False),
    Column("place", Integer, nullable=False),
    Column("parts", JSON, nullable=False),
    Column("reply", JSON(none_as_null=True)),
    Column("begun_at", Float, nullable=False),
    Column("done_at", Float),
    Column("withdrawn", Integer, nullable=False),
    Index("ix_delivery_message", "platform", "team", "channel", "message"),
    Index("ix_delivery_conversation", "platform", "conversation"),
    Index("ix_delivery_done_at", "done_at"),
)

# What was said, for follow-up questions and for those who rate an answer later.
turn = Table(
    "turn",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("platform", String, nullable=False),
    Column("request", String, nullable=False),
    Column("conversation", String, nullable=False),
    Column("user", String, nullable=False),
    # What the reply could be made of: nobody who may see less gets to hear of it again.
    Column("audience", JSON, nullable=False),
    Column("command", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("outcome", String, nullable=False),
    Column("model", String),
    Column("passages", JSON, nullable=False),
    # Whatever may have left words in the answer: what was read, and what earlier turns had read.
    Column("documents", JSON, nullable=False),
    # The whole reply, for who wants to share it.
    Column("reply", JSON(none_as_null=True)),
    Column("said_at", Float, nullable=False),
    UniqueConstraint("platform", "request"),
    Index("ix_turn_conversation", "platform", "conversation"),
    Index("ix_turn_user", "platform", "user"),
    Index("ix_turn_said_at", "said_at"),
)

# What channels have chosen: the newest change of a setting is how it is, all others its history.
setting_change = Table(
    "setting_change",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("place", String, nullable=False),
    Column("name", String, nullable=False),
    # Null is what the configuration says.
    Column("old", JSON(none_as_null=True)),
    Column("new", JSON(none_as_null=True)),
    Column("who", String, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("ix_setting_change_place", "place"),
)

rating = Table(
    "rating",
    metadata,
    Column("platform", String, primary_key=True),
    Column("request", String, primary_key=True),
    Column("user", String, primary_key=True),
    # 1 or -1; null where only a correction came.
    Column("thumb", Integer),
    Column("correction", Text),
    Column("command", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("outcome", String, nullable=False),
    Column("model", String),
    Column("passages", JSON, nullable=False),
    Column("documents", JSON, nullable=False),
    Column("rated_at", Float, nullable=False),
)

# What people asked to be posted later: once or again and again, once they have confirmed it.
reminder = Table(
    "reminder",
    metadata,
    Column("id", Integer, primary_key=True),
    # Of the request that asked for it, which a crash may repeat.
    Column("request", String, nullable=False),
    Column("platform", String, nullable=False),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("scope", String, nullable=False),
    # As `slack:U012`; somebody at the command line is `cli:cli`.
    Column("author", String, nullable=False),
    Column("language", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("options", JSON, nullable=False),
    # For its author's eyes alone.
    Column("direct", Integer, nullable=False),
    # ISO 8601, an IANA name and a rule of RFC 5545.
    Column("start", String, nullable=False),
    Column("zone", String, nullable=False),
    Column("rule", String, nullable=False),
    # asked, standing or done.
    Column("state", String, nullable=False),
    # Seconds since 1970, as is `since`: null where nothing more falls due.
    Column("due_at", Float),
    # From when on a digest tells what is new.
    Column("since", Float, nullable=False),
    Column("asked_at", Float, nullable=False),
    UniqueConstraint("platform", "request"),
    Index("ix_reminder_author", "author"),
    Index("ix_reminder_due_at", "due_at"),
    sqlite_autoincrement=True,
)
