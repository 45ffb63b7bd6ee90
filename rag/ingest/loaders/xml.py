"""XML without its dangers: no entities, no DTD, no network."""

from __future__ import annotations

from typing import Any

from lxml import etree

from rag.errors import DocumentCode, DocumentError


def parse_xml(data: bytes) -> Any:
    """Return the root element; raise `DocumentError(CORRUPT)` for what isn't XML."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        remove_pis=True, huge_tree=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise DocumentError(DocumentCode.CORRUPT, str(error)) from error
    if root is None:
        raise DocumentError(DocumentCode.CORRUPT, "no XML")
    return root
