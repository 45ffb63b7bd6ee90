from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect

from bot import tables
from bot.migrations import upgrade
from rag import schema
from rag.audience import Audience
from rag.ingest.ledger import Ledger
from rag.keywords import term_id
from rag.records import Records
from rag.schema import open_engine


@pytest.mark.parametrize("metadata", [schema.metadata, tables.metadata], ids=["rag", "bot"])
def test_a_new_database_gets_the_tables_that_are_expected(
    tmp_path: Path, metadata: MetaData
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'teamglm.db'}")
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                # The others' tables are in the same database.
                "include_object": lambda _object, name, kind, *_: (
                    kind != "table" or name in metadata.tables
                )
            },
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_what_was_counted_for_everybody_is_counted_for_each_scope(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'teamglm.db'}")
    upgrade(engine, "0004")
    with engine.begin() as connection:
        for row in (
            "content VALUES ('c#1', 'c', 3, 'one', NULL, '[]')",
            "chunk VALUES ('c#1', 'line', 0, 0, 3, NULL, NULL, 'en', 'one', 'h')",
            "document VALUES ('d', 'discord:G:C', 'upload', 'a.txt', 'v', 'ready', NULL, NULL, "
            "NULL, NULL, '', '')",
            "version VALUES ('v', 'd', 'c#1', 'line', 'e', 1, 1, '', NULL)",
            "passage VALUES ('v', 0, 'r')",
            "term VALUES (7, 100)",
            "counter VALUES ('passages', 1), ('generation', 9)",
        ):
            connection.exec_driver_sql(f"INSERT INTO {row}")
    upgrade(engine)
    Ledger(engine, lambda: datetime.now(UTC)).recover()
    records, one = Records(engine), term_id("one")
    for scope, expected in (("discord:G:C", {one: 1}), ("public", {})):
        audience = Audience.of({scope})
        assert records.frequencies([one, 7], audience) == expected
        assert records.passage_count(audience) == len(expected)
    engine.dispose()


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'teamglm.db'}")
    upgrade(engine)
    before = inspect(engine).get_table_names()
    upgrade(engine)
    assert inspect(engine).get_table_names() == before
    engine.dispose()
