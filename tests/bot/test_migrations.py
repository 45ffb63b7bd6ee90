from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from bot.migrations import upgrade
from rag.schema import metadata, open_engine


def test_a_new_database_gets_the_tables_that_the_records_expect(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'teamglm.db'}")
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                # Tables of the bot's own, beside the records.
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
