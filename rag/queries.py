"""The statements that the records are read with: what is live, and what an audience may see."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, not_, or_, select

from rag.audience import Audience
from rag.schema import FORGOTTEN, chunk, document, passage, vector, version

_FOLDER = "folder:"
"""Begins the source of what lies in a watched folder, before the folder's name."""


def visible(audience: Audience, scope: Any = document.c.scope) -> Any:
    """Tell of documents whether an audience may see them; `scope` is the column that is asked."""
    seen = and_(scope.in_(audience.scopes), document.c.source != FORGOTTEN)
    return seen if audience.folders is None else and_(seen, not_(left_out(audience.folders)))


def left_out(folders: Collection[str]) -> Any:
    """Tell of documents whether they lie in other watched folders than these, and don't answer."""
    chosen = [f"{_FOLDER}{name}" for name in folders]
    watched = document.c.source.startswith(_FOLDER, autoescape=True)
    return and_(watched, document.c.source.not_in(chosen))


def live(columns: Select[Any], seen: Any) -> Select[Any]:
    """Select columns of the passages that answer now, of those documents that are `seen`."""
    return (
        columns.select_from(passage)
        .join(document, document.c.live_version == passage.c.version)
        .join(version, version.c.id == passage.c.version)
        .join(
            chunk,
            and_(
                chunk.c.content == version.c.content,
                chunk.c.splitter == version.c.splitter,
                chunk.c.ordinal == passage.c.ordinal,
            ),
        )
        .where(seen)
    )


def passages(audience: Audience) -> Select[Any]:
    """Select what makes a `Passage`."""
    columns = select(
        passage.c.row_id, document.c.id, document.c.name, document.c.scope, passage.c.ordinal,
        chunk.c.text, chunk.c.start, chunk.c.end, chunk.c.page, chunk.c.section, chunk.c.language,
    )  # fmt: skip
    # Of the bare column SQLite has an index, and would read all of a scope for a few rows.
    return live(columns, visible(audience, document.c.scope.concat("")))


@lru_cache(maxsize=64)
def candidates(audience: Audience) -> Select[Any]:
    """Select what makes a `Passage` and its vector, of `rows` and for an `embedder`."""
    # Every question asks it, and building it takes longer than running it: hence the cache.
    same = vector.c.text_hash == chunk.c.text_hash, vector.c.embedder == bindparam("embedder")
    whole = passages(audience).add_columns(vector.c.value).outerjoin(vector, and_(*same))
    return whole.where(passage.c.row_id.in_(bindparam("rows", expanding=True)))


def progress() -> Select[Any]:
    """Count the embedded passages of the versions on their way in."""
    return (
        select(
            version.c.document,
            func.count(vector.c.text_hash).label("done"),
            func.max(version.c.chunks).label("total"),
        )
        .join(document, document.c.id == version.c.document)
        .join(
            chunk,
            and_(chunk.c.content == version.c.content, chunk.c.splitter == version.c.splitter),
        )
        .outerjoin(
            vector,
            and_(vector.c.text_hash == chunk.c.text_hash, vector.c.embedder == version.c.embedder),
        )
        .where(
            document.c.state == "reading",
            document.c.incoming == version.c.content,
            or_(document.c.live_version.is_(None), document.c.live_version != version.c.id),
        )
        .group_by(version.c.document)
    )
