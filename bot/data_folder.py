"""The folder of all that the bot keeps, which is one process's at a time."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import StoreUnavailable


class DataFolder:
    """Claims the folder `path`, and lets go of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Let go of in another thread than it was taken in.
        self._lock = FileLock(path / "lock", thread_local=False)

    def database(self) -> str:
        """Return the address of the database, and make the folder; raise `StoreUnavailable`."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"The data folder {self._path} can't be made ({error.strerror}): correct its "
                "parent's permissions, or name another folder with --data."
            ) from error
        return f"sqlite:///{self._path / 'teamglm.db'}"

    def claim(self) -> None:
        """Make the folder this process's own; raise `StoreUnavailable` if it is another's."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise StoreUnavailable(
                f"Another TeamGLM process is using {self._path}: stop it, or name another "
                "folder with --data."
            ) from error
        except OSError as error:
            raise StoreUnavailable(
                f"The data folder {self._path} can't be written ({error.strerror}): "
                "correct its permissions, or name another folder with --data."
            ) from error

    def release(self) -> None:
        """Let others have the folder."""
        self._lock.release()
