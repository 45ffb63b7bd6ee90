import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag.audience import Audience
from tests.rag.ingest.conftest import consistent, everything
from tests.rag.ingest.crash import Place

EVERYONE = Audience.of({"public"})
ROUNDS = 4
SEED = 3
STEPS = 45
"""About how many steps the second scan takes: a kill beyond the last is a clean run."""

OLD = {
    "same.txt": "nothing new\n",
    "changed.txt": "".join(f"line {n}\n" for n in range(12)),
    "removed.txt": "soon gone\n",
    "renamed.txt": "under one name or another\n",
}
NEW = {
    "same.txt": "nothing new\n",
    "changed.txt": "".join(f"line {n}\n" for n in range(6, 24)),
    "sub/renamed.txt": "under one name or another\n",
    "added.txt": "just arrived\nnothing new\n",
}


def write(data: Path, texts: dict[str, str]) -> None:
    shutil.rmtree(data / "files", ignore_errors=True)
    for name, text in texts.items():
        path = data / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("scanned")
    write(data, OLD)
    place = Place(data)
    place.scan()
    place.close()
    return data


@pytest.mark.parametrize("fatal", random.Random(SEED).sample(range(1, STEPS), ROUNDS))
def test_a_scan_that_was_killed_is_made_good_by_the_next(
    scanned: Path, tmp_path: Path, fatal: int
) -> None:
    data = tmp_path / "data"
    shutil.copytree(scanned, data)
    write(data, NEW)
    killed = subprocess.run(
        [sys.executable, "-m", "tests.rag.ingest.crash", str(data), str(fatal)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert killed.returncode in (-signal.SIGKILL, 0), killed.stderr
    place = Place(data)
    try:
        consistent(place.records, place.index)
        for name, texts in everything(place.records, EVERYONE):
            assert "\n".join(texts) + "\n" in (OLD.get(name), NEW.get(name))
        place.scan()
        consistent(place.records, place.index)
        expected = [(name, text.splitlines()) for name, text in sorted(NEW.items())]
        assert everything(place.records, EVERYONE) == expected
    finally:
        place.close()
