"""What a library's exception says about the file: one coded error each."""

from __future__ import annotations

from rag.errors import DocumentCode, DocumentError

_XML_ERR_NO_MEMORY = 2


def verdict(error: Exception) -> DocumentError:
    """Return the coded error for whatever a parser threw; not for want of memory: `is_memory`."""
    if isinstance(error, DocumentError):
        return error
    if isinstance(error, RecursionError):
        return DocumentError(DocumentCode.TOO_LARGE, "nested too deep")
    # expat's word for entities that multiply, libxml2's for the same
    is_bomb = any(word in str(error) for word in ("amplification", "Detected an entity reference"))
    code = DocumentCode.TOO_LARGE if is_bomb else DocumentCode.CORRUPT
    return DocumentError(code, f"{type(error).__name__}: {error}"[:500])


def is_memory(error: BaseException | None) -> bool:
    """Tell whether memory ran out, also where a library calls it a syntax error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in text:
            return True
        if getattr(error, "code", None) == _XML_ERR_NO_MEMORY or "memory allocation" in text:
            return True
        error = error.__cause__ or error.__context__
    return False
