"""A hundred attempts to have a query do more than ask: each is refused, and nothing has changed."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from rag.tables.database import Database, QueryFailed, QueryLimits, QueryRefused, QueryTimeout
from rag.tables.engine import Engine
from tests.rag.tables.attempts import ATTEMPTS, LEAVING, READING
from tests.rag.tables.test_database import NUMBERS, STAFF

SECRET = "the secret of the file"
LIMITS = QueryLimits(rows=50, basis=2, seconds=0.2)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret.csv"
    file.write_text(f"a,b\n{SECRET},2\n", encoding="utf-8")
    return file


def test_no_attempt_succeeds(secret: Path) -> None:
    assert len(set(ATTEMPTS)) >= 100
    before = sorted(secret.parent.iterdir())
    database = Database([STAFF, NUMBERS], LIMITS)
    try:
        for attempt in ATTEMPTS:
            with pytest.raises((QueryRefused, QueryFailed, QueryTimeout)) as refused:
                database.run(attempt.replace("{file}", str(secret)))
            assert SECRET not in str(refused.value), attempt
        rows = database.run("SELECT name, pay FROM staff ORDER BY name").found.rows
    finally:
        database.close()
    assert rows == (("Ada 艾达", 1200.5), ("Bo", None), ("Cy", 900.0))
    assert sorted(secret.parent.iterdir()) == before
    assert SECRET in secret.read_text(encoding="utf-8")


def test_duckdb_itself_reads_no_file_and_changes_no_setting(secret: Path) -> None:
    """What the guard might overlook, the settings refuse."""
    tables = [{"name": "staff", "columns": [["name", "VARCHAR"]], "rows": [["Ada"]]}]
    engine = Engine(tables, rows=10, basis=2, seconds=1, memory=256 << 20)
    leaking = []
    for attempt in (READING + LEAVING).strip().splitlines():
        try:
            cursor = engine.connection.execute(attempt.replace("{file}", str(secret)))
            found = cursor.fetchall() if cursor else []
        except duckdb.Error:
            continue
        leaking += [attempt for row in found if SECRET in str(row) or "root:" in str(row)]
    assert not leaking
    with pytest.raises(duckdb.Error):
        engine.connection.execute("SET enable_external_access = true")
    with pytest.raises(duckdb.Error):
        engine.connection.execute(f"COPY staff TO '{secret}.out'")
    engine.connection.close()
