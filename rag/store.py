"""The vector index: Milvus, embedded or a server, through pymilvus.

It holds vectors, keyword weights, scopes and opaque ids, never text, and everything in it can be
made again from the database. Readers use an alias, so that a rebuilt collection replaces the old
one in a moment.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import StoreUnavailable

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Hits = list[tuple[str, float]]

_UPSERT_ROWS = 500
# Milvus refuses an empty sparse vector; term ids have 31 bits, so no term has this dimension.
_NO_TERMS = {2**31: 1.0}
_SCOPE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class PassageRow:
    """One passage for one grant, as the index holds it."""

    id: str
    document_id: str
    scope: str
    language: str
    ordinal: int
    dense: Sequence[float]
    sparse: Mapping[int, float]


class PassageIndex:
    """Passages by meaning and by keyword; opens in `open()`, reads are safe from any thread.

    `uri` is a path that ends in `.db` (Milvus Lite, one process at a time) or a server's address.
    Each embedder has a collection of its own, so that vectors of two models never meet; how many
    `dimension`s they have is asked when the index opens, since only a loaded model knows.
    """

    def __init__(self, uri: str, *, embedder_key: str, dimension: Callable[[], int]) -> None:
        self._uri = uri
        self._path = None if "://" in uri else Path(uri)
        self._ask_dimension = dimension
        self._dimension = 0
        self._alias = f"teamglm_{hashlib.sha256(embedder_key.encode()).hexdigest()[:16]}"
        self._client: MilvusClient | None = None
        self._writing = threading.RLock()

    def open(self) -> None:
        """Connect, create what is missing and load it; raise `StoreUnavailable`."""
        from pymilvus import MilvusClient

        self._dimension = self._ask_dimension()
        # Every error reaches us as an exception too, and the log would repeat what is indexed.
        for noisy in ("pymilvus", "milvus_lite"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        with self._explained():
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                # The embedded server is on loopback: no proxy belongs between.
                # Nor does the connection need pings, of which the server soon has enough.
                options = {
                    "grpc_options": {
                        "grpc.enable_http_proxy": 0,
                        "grpc.keepalive_time_ms": 2**31 - 1,
                    }
                }
            else:
                options = {}
            self._client = MilvusClient(uri=self._uri, timeout=30, **options)
            self._sweep()
            self._ensure()
            # Lite makes its keyword index anew in the first search after it opened.
            self.search_sparse(_NO_TERMS, frozenset({"public"}), 1)

    def close(self) -> None:
        """Disconnect, and stop the embedded server; opening again is fine."""
        if self._client is None:
            return
        self._client.close()
        self._client = None
        if self._path is not None:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self._uri)

    def upsert(self, rows: Sequence[PassageRow]) -> None:
        """Add or replace rows; when it returns they are found."""
        with self._writing, self._explained():
            self._upsert(self._alias, rows)

    def delete(self, ids: Iterable[str]) -> None:
        """Remove rows; unknown ids are no error."""
        with self._writing, self._explained():
            self._delete(self._alias, sorted(ids))

    def search_dense(
        self,
        vector: Sequence[float],
        scopes: frozenset[str],
        limit: int,
        *,
        language: str | None = None,
        documents: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> Hits:
        """Return (row id, cosine) of the nearest passages in these scopes, best first.

        `language` looks among the passages in that language alone, `documents` among those of the
        documents with these ids, if there are any, `without` among all others'.
        """
        return self._search("dense", list(vector), scopes, limit, language, documents, without)

    def search_sparse(
        self,
        weights: Mapping[int, float],
        scopes: frozenset[str],
        limit: int,
        *,
        without: Sequence[str] = (),
    ) -> Hits:
        """Return (row id, keyword score) of passages that share a term, best first.

        `without` leaves out the documents with these ids.
        """
        if not weights:
            return []
        return self._search("sparse", dict(weights), scopes, limit, without=without)

    def ids(self) -> set[str]:
        """Return the id of every row."""
        with self._explained():
            return self._ids(self._alias)

    def count(self) -> int:
        """Return how many rows there are."""
        return self._count("")

    def verify_absent(self, document_id: str) -> bool:
        """Tell whether no row of a document is left."""
        return self._count(f"doc_id == {_quote(document_id)}") == 0

    def compact(self) -> bool:
        """Have a server purge its files of deleted rows; False where only a replacement does."""
        if self._path is not None:
            return False
        with self._explained():
            self._milvus.compact(self._alias)
        return True

    def replacement(self) -> Replacement:
        """Begin an empty index that takes this one's place when it is published."""
        with self._writing, self._explained():
            serving = self._serving()
            name = next(
                name
                for name in (f"{self._alias}_{letter}" for letter in "ab")
                if name != serving
            )  # fmt: skip
            self._milvus.drop_collection(name)
            self._create(name)
        return Replacement(self, name)

    def beside(self, embedder_key: str, dimension: int) -> PassageIndex:
        """Return another embedder's index in the same store, opened and closed with this one."""
        other = PassageIndex(self._uri, embedder_key=embedder_key, dimension=lambda: dimension)
        other._client, other._writing, other._dimension = self._milvus, self._writing, dimension
        with self._writing, self._explained():
            other._ensure()
        return other

    def remove(self) -> None:
        """Remove every row, and the files that held them, where another index took over."""
        with self._writing, self._explained():
            serving = self._serving()
            if serving is not None:
                self._milvus.drop_alias(self._alias)
                self._milvus.drop_collection(serving)

    @property
    def _milvus(self) -> MilvusClient:
        if self._client is None:
            raise StoreUnavailable("The index is not open.")
        return self._client

    def _search(
        self,
        field: str,
        query: Any,
        scopes: frozenset[str],
        limit: int,
        language: str | None = None,
        documents: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> Hits:
        if not scopes or limit < 1:
            return []
        condition = f"scope in [{', '.join(_quote(scope) for scope in sorted(scopes))}]"
        if documents:
            condition += f" and doc_id in [{', '.join(map(_quote, documents))}]"
        if without:
            condition += f" and doc_id not in [{', '.join(map(_quote, without))}]"
        if language is not None:
            condition += f" and lang == {_quote(language)}"
        metric = "COSINE" if field == "dense" else "IP"
        with self._explained():
            (hits,) = self._milvus.search(
                self._alias,
                data=[query],
                anns_field=field,
                filter=condition,
                limit=limit,
                search_params={"metric_type": metric},
                output_fields=["id"],  # else Lite returns whole rows
                consistency_level="Strong",
            )
        return [(hit["id"], float(hit["distance"])) for hit in hits]

    def _count(self, condition: str) -> int:
        with self._explained():
            (row,) = self._milvus.query(
                self._alias,
                filter=condition,
                output_fields=["count(*)"],
                consistency_level="Strong",
            )
        return int(row["count(*)"])

    def _ids(self, collection: str) -> set[str]:
        rows = self._milvus.query_iterator(
            collection, batch_size=1000, output_fields=["id"], consistency_level="Strong"
        )
        try:
            return {row["id"] for batch in iter(rows.next, []) for row in batch}
        finally:
            rows.close()

    def _delete(self, collection: str, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), _UPSERT_ROWS):
            quoted = ", ".join(map(_quote, ids[start : start + _UPSERT_ROWS]))
            self._milvus.delete(collection, filter=f"id in [{quoted}]")  # `ids` wouldn't be quoted
        if ids:
            self._milvus.flush(collection)

    def _upsert(self, collection: str, rows: Sequence[PassageRow]) -> None:
        # `insert` would double rows on a server.
        for start in range(0, len(rows), _UPSERT_ROWS):
            batch = [self._record(row) for row in rows[start : start + _UPSERT_ROWS]]
            self._milvus.upsert(collection, batch)
        if rows:
            self._milvus.flush(collection)  # unflushed rows are searched many times slower

    def _record(self, row: PassageRow) -> dict[str, Any]:
        numbers = (*row.dense, *row.sparse.values())
        if len(row.dense) != self._dimension or not all(map(math.isfinite, numbers)):
            raise ValueError(f"row {row.id}: not {self._dimension} finite numbers")
        if len(row.scope.encode()) > _SCOPE_BYTES:  # Lite would count characters
            raise ValueError(f"row {row.id}: its scope is longer than {_SCOPE_BYTES} bytes")
        return {
            "id": row.id,
            "doc_id": row.document_id,
            "scope": row.scope,
            "lang": row.language,
            "ord": row.ordinal,
            "dense": [float(number) for number in row.dense],
            "sparse": dict(row.sparse) or _NO_TERMS,
        }

    def _serving(self) -> str | None:
        """Return the collection that the alias stands for."""
        names = self._collections()
        aliases = {name: self._milvus.list_aliases(name)["aliases"] for name in names}
        return next((name for name in names if self._alias in aliases[name]), None)

    def _collections(self) -> list[str]:
        return [name for name in self._milvus.list_collections() if name.startswith("teamglm_")]

    def _ensure(self) -> None:
        if not self._serving():
            name = f"{self._alias}_a"
            self._milvus.drop_collection(name)
            self._create(name)
            self._milvus.create_alias(name, self._alias)
        self._load()

    def _publish(self, name: str) -> None:
        old = self._serving()
        self._milvus.load_collection(name)
        if old is None:
            self._milvus.create_alias(name, self._alias)
        else:
            self._milvus.alter_alias(name, self._alias)
            self._milvus.drop_collection(old)

    def _create(self, name: str) -> None:
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("doc_id", DataType.VARCHAR, max_length=64)
        schema.add_field("scope", DataType.VARCHAR, max_length=_SCOPE_BYTES)
        schema.add_field("lang", DataType.VARCHAR, max_length=8)
        schema.add_field("ord", DataType.INT64)
        schema.add_field("dense", DataType.FLOAT_VECTOR, dim=self._dimension)
        schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
        indexes = MilvusClient.prepare_index_params()
        # Lite is good to some 30,000 passages, where an exact search takes a fraction of the
        # question's embedding: an approximate one would lose recall and win nothing that people
        # notice. A server is there for more, and AUTOINDEX picks what it does best.
        dense = "AUTOINDEX" if self._path is None else "FLAT"
        indexes.add_index("dense", index_type=dense, metric_type="COSINE")
        indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        for field in ("doc_id", "scope"):
            indexes.add_index(field, index_type="INVERTED")
        self._milvus.create_collection(name, schema=schema, consistency_level="Strong")
        # Waiting would take half a second an index, and an empty collection has nothing to index.
        self._milvus.create_index(name, indexes, sync=False)

    def _sweep(self) -> None:
        """Drop what an interrupted replacement left, and on Lite other embedders' collections."""
        serving = self._serving()
        for name in self._collections():
            ours = name.startswith(self._alias) or self._path is not None
            if ours and name != serving:
                for alias in self._milvus.list_aliases(name)["aliases"]:
                    self._milvus.drop_alias(alias)
                self._milvus.drop_collection(name)

    def _load(self) -> None:
        try:
            self._milvus.load_collection(self._alias)
        except Exception:
            if self._path is None:
                raise
            # Lite never recovers from an index file that was cut off while it was being written.
            for folder in self._path.glob("**/indexes"):
                shutil.rmtree(folder)
            self._milvus.load_collection(self._alias)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, RpcError, OSError) as error:
            raise StoreUnavailable(
                f"The index {self._uri} cannot be used ({_reason(error)}): check that it can be "
                "written and has space, and that no other process has it open."
            ) from error


class Replacement:
    """An index that is being made while the one that it will replace answers."""

    def __init__(self, index: PassageIndex, name: str) -> None:
        self._index = index
        self._name = name

    def upsert(self, rows: Sequence[PassageRow]) -> None:
        """Add or replace rows."""
        with self._index._writing, self._index._explained():
            self._index._upsert(self._name, rows)

    def delete(self, ids: Iterable[str]) -> None:
        """Remove rows; unknown ids are no error."""
        with self._index._writing, self._index._explained():
            self._index._delete(self._name, sorted(ids))

    def ids(self) -> set[str]:
        """Return the id of every row."""
        with self._index._explained():
            self._index._milvus.load_collection(self._name)
            return self._index._ids(self._name)

    def publish(self) -> None:
        """Answer from now on, and remove what answered before."""
        with self._index._writing, self._index._explained():
            self._index._publish(self._name)


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _reason(error: Exception) -> str:
    return str(getattr(error, "message", "") or error).splitlines()[0][:200]
