"""The records: documents, versions, contents, vectors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of `rag.schema`."""
    op.create_table(
        "content",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("segments", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_content"),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "document",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("live_version", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("incoming", sa.String(), nullable=True),
        sa.Column("taught_by", sa.String(), nullable=True),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("updated_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_document"),
        sa.UniqueConstraint("live_version", name="uq_document_live_version"),
        sa.UniqueConstraint("scope", "source", "name", name="uq_document_scope"),
    )
    op.create_index("ix_document_taught_by", "document", ["taught_by"], unique=False)
    op.create_table(
        "seen",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("stamp", sa.String(), nullable=False),
        sa.Column("seen_ns", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("source", "path", name="pk_seen"),
    )
    op.create_table(
        "term",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_term"),
    )
    op.create_table(
        "tombstone",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("scope", "source", "name", name="pk_tombstone"),
    )
    op.create_table(
        "vector",
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("embedder", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("text_hash", "embedder", name="pk_vector"),
    )
    op.create_table(
        "chunk",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("splitter", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("section", sa.String(), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["content"], ["content.key"], name="fk_chunk_content", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("content", "splitter", "ordinal", name="pk_chunk"),
    )
    op.create_index("ix_chunk_text_hash", "chunk", ["text_hash"], unique=False)
    op.create_table(
        "version",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("document", sa.String(length=32), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("splitter", sa.String(), nullable=False),
        sa.Column("embedder", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("indexed_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["content"], ["content.key"], name="fk_version_content"),
        sa.ForeignKeyConstraint(
            ["document"], ["document.id"], name="fk_version_document", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_version"),
    )
    op.create_index("ix_version_content_splitter", "version", ["content", "splitter"], unique=False)
    op.create_index("ix_version_document", "version", ["document"], unique=False)
    op.create_table(
        "passage",
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["version.id"], name="fk_passage_version", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version", "ordinal", name="pk_passage"),
    )
    op.create_index("ix_passage_row_id", "passage", ["row_id"], unique=False)
