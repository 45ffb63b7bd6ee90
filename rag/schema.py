"""The tables of the records, and the engine that keeps them: SQLite by default, or PostgreSQL.

A `content` is what was extracted from some bytes, cut into `chunk`s. A `document` is a grant: an
address (scope, source, name) that people see. Its `version`s point at contents, and a `passage` is
one chunk of one version, with the id of its row in the vector index. Which version answers is
`document.live_version` and nothing else: a version that no document points at is on its way in or
on its way out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.exc import InterfaceError, OperationalError

from rag.errors import StoreUnavailable

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

content = Table(
    "content",
    metadata,
    # The bytes' SHA-256, the kind of file they were read as, and the version of the parser.
    Column("key", String, primary_key=True),
    Column("blob", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("pages", Integer),
    Column("segments", JSON, nullable=False),
)

FORGOTTEN = "forgotten"
"""The source of a document whose removal was interrupted: its address is free again."""

document = Table(
    "document",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("scope", String, nullable=False),
    Column("source", String, nullable=False),
    Column("name", String, nullable=False),
    Column("live_version", String(32), unique=True),
    Column("state", String, nullable=False),
    Column("code", String),
    Column("message", String),
    # The content that waits, is being read or failed; null once it answers.
    Column("incoming", String),
    Column("taught_by", String, index=True),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    UniqueConstraint("scope", "source", "name"),
)

version = Table(
    "version",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("document", ForeignKey(document.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("content", ForeignKey(content.c.key), nullable=False),
    Column("splitter", String, nullable=False),
    Column("embedder", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("taught_by", String),
    Column("indexed_at", String, nullable=False),
)

chunk = Table(
    "chunk",
    metadata,
    Column("content", ForeignKey(content.c.key, ondelete="CASCADE"), primary_key=True),
    Column("splitter", String, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("section", String),
    Column("language", String(2), nullable=False),
    Column("text", Text, nullable=False),
    # Of the text that is embedded, which has the section before it.
    Column("text_hash", String(64), nullable=False, index=True),
)

passage = Table(
    "passage",
    metadata,
    Column("version", ForeignKey(version.c.id, ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("row_id", String(64), nullable=False, index=True),
)

vector = Table(
    "vector",
    metadata,
    Column("text_hash", String(64), primary_key=True),
    Column("embedder", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# In how many live passages of a scope a term occurs: what others know weighs in nobody's question.
term = Table(
    "term",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("scope", String, primary_key=True),
    Column("frequency", Integer, nullable=False),
)

# How many passages of a scope are live, and a number that grows whenever they change.
tally = Table(
    "tally",
    metadata,
    Column("scope", String, primary_key=True),
    Column("passages", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
)

# uncounted: not 0 while term frequencies are only partly brought up to date.
counter = Table(
    "counter",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("scope", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("sha256", String(64), nullable=False),
)

# What was forgotten on purpose, so that no backup brings it back.
forgotten = Table("forgotten", metadata, Column("document", String(32), primary_key=True))

# What a scan saw of a watched file, so that the next one need not read it again.
seen = Table(
    "seen",
    metadata,
    Column("source", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("stamp", String, nullable=False),
    Column("seen_ns", BigInteger, nullable=False),
    Column("blob", String, nullable=False),
)

Index("ix_version_content_splitter", version.c.content, version.c.splitter)


def open_engine(url: str) -> Engine:
    """Return an engine for the records and whatever else shares their database.

    On SQLite a transaction takes the write lock when it begins, so that none fails halfway; those
    of `reading(engine)` don't. A database that fails raises `StoreUnavailable`, whoever asked.
    """
    address = make_url(url)
    where = address.render_as_string(hide_password=True)
    lite = address.get_backend_name() == "sqlite"
    engine = create_engine(
        address,
        connect_args={"timeout": 30} if lite else {},
        hide_parameters=True,  # they are what people wrote, and errors are shown
    )

    @event.listens_for(engine, "handle_error")
    def _explain(context: ExceptionContext) -> None:
        if isinstance(context.sqlalchemy_exception, OperationalError | InterfaceError):
            raise StoreUnavailable(
                f"The database {where} cannot be used ({context.original_exception}): "
                "check that its folder exists, can be written and has space."
            ) from context.original_exception

    if lite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    with reading(engine).connect():
        pass
    return engine


def reading(engine: Engine) -> Engine:
    """Return the engine for transactions that only read: they wait for no writer."""
    return engine.execution_options(only_read=True)


def insert_for(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that can say what to do about a row that is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def add_to_counter(connection: Connection, name: str, change: int) -> None:
    """Add to one of the records' counters."""
    new = insert_for(connection, counter)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["name"], set_={"value": counter.c.value + new.excluded.value}
        ),
        {"name": name, "value": change},
    )


def add_to_tally(connection: Connection, added: Mapping[str, int]) -> None:
    """Count passages that begin or cease to answer in scopes, and that these changed."""
    new = insert_for(connection, tally)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["scope"],
            set_={
                "passages": tally.c.passages + new.excluded.passages,
                "generation": tally.c.generation + 1,
            },
        ),
        [{"scope": scope, "passages": n, "generation": 1} for scope, n in added.items()],
    )


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the "begin" event below begins transactions
    # Deleted text is overwritten, and a commit survives a power cut.
    for pragma in (
        "busy_timeout=30000",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("only_read", False):
        # It takes no lock, so nothing can go wrong that SQLAlchemy, at a tenth of a ms, would tell.
        connection.connection.driver_connection.execute("BEGIN")  # type: ignore[union-attr]
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
