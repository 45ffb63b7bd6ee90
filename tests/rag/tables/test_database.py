"""What may be asked of tables: nothing that writes, reads files, leaves or goes on for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag.tables.database import (
    Database,
    QueryFailed,
    QueryLimits,
    QueryRefused,
    QueryTimeout,
    Rows,
)
from rag.tables.table import Column, Table

STAFF = Table(
    "staff",
    ("Staff",),
    1,
    (
        Column("name", "name", "VARCHAR"),
        Column("office", "office", "VARCHAR"),
        Column("hired", "hired", "DATE"),
        Column("pay", "pay", "DOUBLE"),
    ),
    (
        ("Ada 艾达", "Porto", "2021-03-01", 1200.5),
        ("Bo", "Porto", "2024-01-15", None),
        ("Cy", "Lyon", None, 900.0),
    ),
)
NUMBERS = Table("numbers", (), 1, (Column("n", "n", "BIGINT"),), tuple((n,) for n in range(20_000)))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    found = Database([STAFF, NUMBERS], QueryLimits(rows=50, basis=2, seconds=0.3))
    yield found
    found.close()


def test_an_answer_has_its_rows_and_those_that_it_rests_on(database: Database) -> None:
    result = database.run("SELECT avg(pay) AS mean FROM staff s WHERE s.office = 'Porto'")
    assert result.found == Rows(("mean",), ((1200.5,),), 1)
    assert result.basis == Rows(
        ("name", "office", "pay"), (("Ada 艾达", "Porto", 1200.5), ("Bo", "Porto", None)), 2
    )


def test_values_come_as_what_they_are(database: Database) -> None:
    result = database.run("SELECT name, hired, pay, pay > 1000 AS rich FROM staff ORDER BY name")
    assert result.found.rows[0] == ("Ada 艾达", "2021-03-01", 1200.5, True)
    assert result.found.rows[2] == ("Cy", None, 900.0, False)


def test_an_answer_has_no_more_rows_than_allowed(database: Database) -> None:
    result = database.run("SELECT n FROM numbers ORDER BY n DESC")
    assert len(result.found.rows) == 50
    assert result.found.count is None
    assert result.found.rows[0] == (19_999,)
    assert result.basis is not None
    assert (result.basis.count, len(result.basis.rows)) == (20_000, 2)


def test_what_cannot_be_answered_says_why(database: Database) -> None:
    with pytest.raises(QueryFailed, match="salary"):
        database.run("SELECT salary FROM staff")
    with pytest.raises(QueryFailed):
        database.run("SELECT FROM WHERE")


def test_queries_of_every_usual_kind_are_answered(database: Database) -> None:
    for sql in (
        "SELECT DISTINCT office FROM staff WHERE office ILIKE '%O%' ORDER BY 1",
        "SELECT strftime(hired, '%Y-%m') AS m, count(*) FROM staff GROUP BY m HAVING count(*) >= 1",
        "SELECT name FROM staff WHERE pay = (SELECT max(pay) FROM staff)",
        "WITH p AS (SELECT * FROM staff WHERE office = 'Porto') SELECT count(*) FROM p",
        "SELECT a.name FROM staff a JOIN staff b ON a.office = b.office AND a.name <> b.name",
        "SELECT name, rank() OVER (ORDER BY pay DESC NULLS LAST) FROM staff",
        "SELECT CASE WHEN pay > 1000 THEN 'a' ELSE 'b' END AS band, sum(pay) FROM staff GROUP BY 1",
        "SELECT office FROM staff UNION SELECT name FROM staff",
        "SELECT name FROM staff WHERE hired BETWEEN DATE '2021-01-01' AND '2021-12-31'",
        "SELECT name FROM staff WHERE year(hired) IN (2021, 2024) LIMIT 2",
        "SELECT round(avg(pay), 1), CAST(sum(pay) AS BIGINT) FROM staff WHERE pay IS NOT NULL",
    ):
        assert database.run(sql).found.rows, sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM numbers a, numbers b, numbers c WHERE a.n + b.n + c.n > 5",
        "SELECT sum(a.n * b.n * c.n) FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c",
        "SELECT max(length(x)) FROM (SELECT string_agg(a.n::VARCHAR, '') AS x "
        "FROM numbers a, numbers b, numbers c)",
    ],
)
def test_what_takes_too_long_is_ended_and_others_go_on(database: Database, sql: str) -> None:
    with pytest.raises((QueryTimeout, QueryFailed)):
        database.run(sql)
    assert database.run("SELECT count(*) FROM staff").found.rows == ((3,),)


def test_a_refusal_says_what_is_not_allowed(database: Database) -> None:
    with pytest.raises(QueryRefused, match="read_text"):
        database.run("SELECT read_text('/etc/passwd')")
