"""A hundred queries that write, attach, read files, leave or never end; `{file}` is a secret."""

from __future__ import annotations

WRITING = """
DROP TABLE staff
DELETE FROM staff
UPDATE staff SET pay = 0
INSERT INTO staff VALUES ('Eve', 'Oslo', NULL, 1)
TRUNCATE staff
ALTER TABLE staff ADD COLUMN x INTEGER
ALTER TABLE staff RENAME TO gone
CREATE TABLE copied AS SELECT * FROM staff
CREATE OR REPLACE TABLE staff AS SELECT 1 AS name
CREATE VIEW seen AS SELECT * FROM staff
CREATE MACRO twice(x) AS x * 2
CREATE SEQUENCE counting
CREATE SCHEMA other
CREATE INDEX by_name ON staff (name)
CREATE TYPE mood AS ENUM ('a', 'b')
CREATE SECRET s (TYPE s3, KEY_ID 'k', SECRET 's')
MERGE INTO staff USING numbers ON staff.pay = numbers.n WHEN MATCHED THEN DELETE
SELECT 1; DROP TABLE staff
SELECT count(*) FROM staff; DELETE FROM staff; SELECT 1
WITH gone AS (DELETE FROM staff RETURNING *) SELECT * FROM gone
DELETE FROM staff RETURNING name
BEGIN TRANSACTION
COMMENT ON TABLE staff IS 'owned'
EXECUTE prepared
PREPARE prepared AS DELETE FROM staff
VACUUM
CHECKPOINT
SELECT nextval('counting')
"""

READING = """
SELECT * FROM '{file}'
SELECT * FROM "{file}"
SELECT * FROM read_csv('{file}')
SELECT * FROM read_csv_auto('{file}')
SELECT * FROM read_text('{file}')
SELECT * FROM read_blob('{file}')
SELECT * FROM read_json('{file}')
SELECT * FROM read_json_auto('{file}')
SELECT * FROM read_ndjson('{file}')
SELECT * FROM read_parquet('{file}')
SELECT * FROM parquet_scan('{file}')
SELECT * FROM parquet_metadata('{file}')
SELECT * FROM sniff_csv('{file}')
SELECT * FROM glob('/*')
SELECT content FROM read_text('/etc/passwd')
SELECT count(*) FROM staff WHERE name IN (SELECT content FROM read_text('{file}'))
SELECT (SELECT content FROM read_text('{file}') LIMIT 1) FROM staff
WITH f AS (SELECT * FROM read_text('{file}')) SELECT * FROM f
WITH "{file}" AS (SELECT 1) SELECT (SELECT count(*) FROM staff), * FROM "{file}"
SELECT * FROM staff UNION ALL SELECT content, '', NULL, 0 FROM read_text('{file}')
SELECT * FROM staff JOIN read_csv('{file}') f ON true
SELECT * FROM staff, LATERAL (SELECT * FROM read_text('{file}'))
FROM '{file}'
FROM read_text('{file}')
DESCRIBE SELECT * FROM '{file}'
SUMMARIZE SELECT * FROM '{file}'
COPY staff TO '{file}.out'
COPY (SELECT * FROM staff) TO '{file}.out' (FORMAT csv)
COPY staff FROM '{file}'
EXPORT DATABASE '{file}.dir'
IMPORT DATABASE '{file}.dir'
SELECT getenv('HOME')
SELECT * FROM read_text('/proc/self/environ')
SELECT * FROM read_duckdb('{file}')
SELECT * FROM iceberg_scan('{file}')
"""

LEAVING = """
ATTACH '{file}' AS other
ATTACH ':memory:' AS other
ATTACH 'http://127.0.0.1:9/x.db' AS other
DETACH memory
USE memory.main
INSTALL httpfs
LOAD httpfs
INSTALL spatial FROM community
LOAD '{file}'
FORCE INSTALL json
SELECT * FROM 'https://example.org/a.csv'
SELECT * FROM read_csv('https://example.org/a.csv')
SELECT * FROM read_parquet('s3://bucket/a.parquet')
SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'x')
SELECT * FROM sqlite_scan('{file}', 'x')
SET enable_external_access = true
SET lock_configuration = false
SET memory_limit = '100GB'
SET threads = 64
RESET memory_limit
PRAGMA enable_profiling
PRAGMA database_list
PRAGMA memory_limit = '100GB'
CALL pragma_version()
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_tables()
SELECT * FROM information_schema.tables
SELECT * FROM pg_catalog.pg_tables
SELECT * FROM sqlite_master
SELECT current_setting('memory_limit')
SHOW ALL TABLES
SELECT * FROM query('DROP TABLE staff')
SELECT * FROM query_table('staff')
SELECT json_execute_serialized_sql(json_serialize_sql('SELECT 1'))
"""

LASTING = """
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r
WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n FROM r) SELECT * FROM r LIMIT 5
SELECT count(*) FROM range(1000000000000)
SELECT sum(i) FROM generate_series(1, 1000000000000) t(i)
SELECT unnest(range(1000000000))
SELECT length(repeat('x', 2000000000))
SELECT lpad('x', 2000000000, 'y')
SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d
SELECT sum(a.n * b.n) FROM numbers a, numbers b, numbers c WHERE a.n + b.n > c.n
SELECT a.n FROM numbers a, numbers b, numbers c ORDER BY a.n * b.n - c.n
SELECT list(a.n + b.n) FROM numbers a, numbers b, numbers c
SELECT DISTINCT a.n * b.n * c.n FROM numbers a, numbers b, numbers c
SELECT string_agg(a.n::VARCHAR, ',') FROM numbers a, numbers b, numbers c
SELECT list_transform([1], x -> x)
SELECT * FROM staff TABLESAMPLE 10%
"""

ATTEMPTS = [
    line for text in (WRITING, READING, LEAVING, LASTING) for line in text.strip().splitlines()
]
