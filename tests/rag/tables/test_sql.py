from __future__ import annotations

import pytest

from rag.tables.prompt import schema
from rag.tables.sql import fitted, written
from rag.tables.table import Column, Table
from rag.tables.words import mentioned

ROOMS = Table(
    "rooms",
    ("Meeting rooms 会议室",),
    1,
    (
        Column("Room", "Room 会议室", "VARCHAR"),
        Column("Office", "Office 办公室", "VARCHAR"),
        Column("Seats", "Seats 座位", "BIGINT"),
    ),
    (
        ("Egret 白鹭", "Xiamen 厦门", 12),
        ("Stork 白鹳", "Rotterdam 鹿特丹", 10),
        ("O'Hara", "Xiamen 厦门", 4),
    ),
)


@pytest.mark.parametrize(
    ("answer", "query"),
    [
        ("SELECT 1", "SELECT 1"),
        ("Here it is:\n```sql\nSELECT a\nFROM t;\n```\nIt counts.", "SELECT a\nFROM t"),
        ("select ';' AS x; DROP TABLE t", "select ';' AS x"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "WITH x AS (SELECT 1) SELECT * FROM x"),
        ("I don't know.", ""),
        ("", ""),
    ],
)
def test_the_query_is_found_in_what_a_model_writes(answer: str, query: str) -> None:
    assert written(answer) == query


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("Office = 'Xiamen'", "Office = 'Xiamen 厦门'"),
        ("rooms.office = '鹿特丹'", "rooms.office = 'Rotterdam 鹿特丹'"),
        ("LOWER(Office) = 'xiamen'", "Office = 'Xiamen 厦门'"),
        ("Office <> 'Roterdam 鹿特丹'", "Office <> 'Rotterdam 鹿特丹'"),
        ("Room = 'O''Hara'", "Room = 'O''Hara'"),
        ("Room IN ('egret', 'Stork', 'Heron')", "Room IN ('Egret 白鹭', 'Stork 白鹳', 'Heron')"),
        ("Room LIKE '%LIKE a%'", "Room ILIKE '%LIKE a%'"),
        ("Room NOT LIKE 'E%'", "Room NOT ILIKE 'E%'"),
        ("Room ILIKE '%o''hara%'", "Room = 'O''Hara'"),
        ("Room NOT ILIKE '%o''hara%'", "Room NOT ILIKE '%o''hara%'"),
        ('Office = "Xiamen"', "Office = 'Xiamen 厦门'"),
        ('"Seats 座位" > 3', "Seats > 3"),
        ("Office = 'Oslo'", "Office = 'Oslo'"),
        ("Seats = '12'", "Seats = '12'"),
    ],
)
def test_texts_are_compared_with_values_that_exist(query: str, meant: str) -> None:
    start = "SELECT count(*) FROM rooms WHERE "
    assert fitted(start + query, [ROOMS]) == start + meant


def test_a_question_names_values_in_either_language() -> None:
    assert mentioned("厦门有几个会议室？", ROOMS) == {"Office": ["Xiamen 厦门"]}
    assert mentioned("Is the stork in Rotterdam?", ROOMS) == {
        "Room": ["Stork 白鹳"],
        "Office": ["Rotterdam 鹿特丹"],
    }
    assert mentioned("Storks and herons", ROOMS) == {}


def test_the_model_reads_names_types_and_values_of_a_table() -> None:
    text = schema("How many seats has the Stork?", ROOMS)
    assert text.startswith("CREATE TABLE rooms ( -- Meeting rooms 会议室; 3 rows")
    assert "Seats BIGINT -- 座位; 4 to 12" in text
    assert text.index("'Stork 白鹳'") < text.index("'Egret 白鹭'")
