from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect

from bot import tables
from bot.migrations import upgrade
from rag import schema
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


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'teamglm.db'}")
    upgrade(engine)
    before = inspect(engine).get_table_names()
    upgrade(engine)
    assert inspect(engine).get_table_names() == before
    engine.dispose()
