from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from rag.audience import Audience
from rag.records import Records
from rag.schema import metadata, open_engine

ROWS = [f"row-{number}" for number in range(80)]
EVERYONE = Audience.of({"public"})


@pytest.mark.parametrize("what", ["candidates", "passages"])
def test_of_a_large_scope_only_the_rows_asked_for_are_read(tmp_path: Path, what: str) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'records.db'}")
    metadata.create_all(engine)
    records = Records(engine)
    ran: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def remember(_c: Any, _cursor: Any, sql: str, values: Any, _x: Any, _many: bool) -> None:
        ran.append((sql, values))

    if what == "candidates":
        records.candidates(ROWS, EVERYONE, "fake")
    else:
        records.passages(ROWS, EVERYONE)
    sql, values = ran[-1]
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
    engine.dispose()
    assert "ix_passage_row_id" in plan[0].detail
