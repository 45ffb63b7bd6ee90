from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import StoreUnavailable
from rag.store import PassageIndex, PassageRow

PUBLIC = frozenset({"public"})


def row(number: int, scope: str = "public", **changes: object) -> PassageRow:
    values: dict[str, object] = {
        "id": f"{number:064x}",
        "document_id": f"{number // 10:032x}",
        "scope": scope,
        "language": "en",
        "ordinal": number,
        "dense": [1.0, number / 10, 0.0, 0.0],
        "sparse": {7: 1.0, 100 + number: 2.0},
    }
    return PassageRow(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PassageIndex]:
    folder = tmp_path_factory.mktemp("index")
    index = PassageIndex(str(folder / "index.db"), embedder_key="fake", dimension=lambda: 4)
    index.open()
    yield index
    index.close()


@pytest.fixture
def index(opened: PassageIndex) -> PassageIndex:
    opened.delete(opened.ids())
    return opened


def test_rows_are_found_by_meaning_best_first(index: PassageIndex) -> None:
    index.upsert([row(n) for n in range(5)])
    hits = index.search_dense([1.0, 0.0, 0.0, 0.0], PUBLIC, 3)
    assert [row_id for row_id, _ in hits] == [row(n).id for n in range(3)]
    assert hits[0][1] == pytest.approx(1.0)


def test_rows_are_found_by_keyword_with_the_product_of_weights(index: PassageIndex) -> None:
    index.upsert([row(n) for n in range(5)])
    ((row_id, score),) = index.search_sparse({103: 1.5}, PUBLIC, 3)
    assert (row_id, score) == (row(3).id, 3.0)


def test_an_empty_question_and_an_empty_audience_find_nothing(index: PassageIndex) -> None:
    index.upsert([row(1)])
    assert index.search_sparse({}, PUBLIC, 3) == []
    assert index.search_sparse({999: 1.0}, PUBLIC, 3) == []
    assert index.search_dense([1.0, 0.0, 0.0, 0.0], frozenset(), 3) == []


@pytest.mark.parametrize(
    "scope",
    ['slack:E:T:"] or scope != "', "folder:a\\", "folder:团队", "folder:'x'", "folder:{x}\n"],
)
def test_a_scope_matches_only_itself_whatever_it_is_called(index: PassageIndex, scope: str) -> None:
    index.upsert([row(1), row(2, scope)])
    query = [1.0, 0.0, 0.0, 0.0]
    assert [row_id for row_id, _ in index.search_dense(query, frozenset({scope}), 5)] == [row(2).id]
    assert len(index.search_dense(query, frozenset({scope, "public"}), 5)) == 2


def test_the_same_id_again_replaces_the_row(index: PassageIndex) -> None:
    index.upsert([row(1)])
    index.upsert([row(1, "folder:x")])
    assert index.count() == 1
    assert index.search_dense([1.0, 0.0, 0.0, 0.0], PUBLIC, 5) == []


def test_a_passage_without_terms_can_be_kept(index: PassageIndex) -> None:
    index.upsert([row(1, sparse={})])
    assert index.ids() == {row(1).id}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(index: PassageIndex, bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        index.upsert([row(1, dense=[bad, 0.0, 0.0, 0.0])])
    assert index.count() == 0


def test_deleted_rows_are_gone_and_unknown_ones_no_error(index: PassageIndex) -> None:
    index.upsert([row(11), row(21)])
    assert not index.verify_absent(row(11).document_id)
    index.delete([row(11).id, "0" * 64])
    assert index.verify_absent(row(11).document_id)
    assert index.ids() == {row(21).id}


def test_a_replacement_answers_once_it_is_published(index: PassageIndex) -> None:
    index.upsert([row(1), row(2)])
    new = index.replacement()
    new.upsert([row(2), row(4)])
    new.upsert([row(3)])
    new.delete([row(4).id])
    assert new.ids() == {row(2).id, row(3).id}
    assert index.ids() == {row(1).id, row(2).id}
    new.publish()
    assert index.ids() == {row(2).id, row(3).id}
    assert len(index.search_sparse({7: 1.0}, PUBLIC, 5)) == 2


def test_a_replacement_that_is_given_up_leaves_the_old_rows(index: PassageIndex) -> None:
    index.upsert([row(1)])
    new = index.replacement()
    new.upsert([row(2)])
    with pytest.raises(ValueError, match="finite"):
        new.upsert([row(3, dense=[1.0])])
    assert index.ids() == {row(1).id}
    index.replacement().publish()
    assert index.count() == 0


def test_another_embedders_index_stands_beside_until_one_is_removed(tmp_path: Path) -> None:
    index = PassageIndex(str(tmp_path / "index.db"), embedder_key="old", dimension=lambda: 4)
    index.open()
    index.upsert([row(1)])
    other = index.beside("new", 2)
    new = other.replacement()
    new.upsert([row(1, dense=[1.0, 0.0])])
    new.publish()
    assert index.search_dense([1.0, 0.0, 0.0, 0.0], PUBLIC, 5)
    assert other.search_dense([1.0, 0.0], PUBLIC, 5)
    index.remove()
    assert other.ids() == {row(1).id}
    other.close()
    other = PassageIndex(str(tmp_path / "index.db"), embedder_key="new", dimension=lambda: 2)
    other.open()
    assert other.ids() == {row(1).id}
    other.close()


def test_rows_survive_closing_and_files_that_were_cut_off(tmp_path: Path) -> None:
    index = PassageIndex(str(tmp_path / "index.db"), embedder_key="fake", dimension=lambda: 4)
    index.open()
    index.upsert([row(n) for n in range(3)])
    index.close()
    written = list(tmp_path.glob("**/indexes/*"))
    assert written
    for file in written:
        file.write_bytes(file.read_bytes()[:5])
    index.open()
    assert len(index.search_dense([1.0, 0.0, 0.0, 0.0], PUBLIC, 5)) == 3
    assert len(index.search_sparse({7: 1.0}, PUBLIC, 5)) == 3
    index.close()
    other = PassageIndex(str(tmp_path / "index.db"), embedder_key="other", dimension=lambda: 2)
    other.open()
    assert other.count() == 0
    other.close()


def test_an_index_that_cannot_be_opened_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    index = PassageIndex(
        str(tmp_path / "file" / "index.db"), embedder_key="fake", dimension=lambda: 4
    )
    with pytest.raises(StoreUnavailable, match=r"index\.db"):
        index.open()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_the_embedded_server_listens_on_loopback_only(index: PassageIndex) -> None:
    index.count()
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    sockets = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    listening = "0A"
    addresses = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == listening and fields[9] in sockets:
                addresses.append(fields[1].partition(":")[0])
    assert addresses
    mapped = "0000000000000000FFFF00000100007F"
    assert set(addresses) <= {"0100007F", mapped, "0" * 24 + "01000000"}
