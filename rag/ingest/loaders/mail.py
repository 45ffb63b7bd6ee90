"""E-mail: who wrote what to whom and when, with the files attached."""

from __future__ import annotations

import io
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import oxmsg
from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.ingest.loaders.archives import Attachments
from rag.ingest.loaders.encodings import decode
from rag.ingest.loaders.html import fragment
from rag.ingest.loaders.outline import Outline, clean, flow

_HEADERS = ("From", "To", "Cc", "Date", "Subject")


class MailParser(BaseBlobParser):
    """Yields a letter as one Document under its subject, then its attachments."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the letter and the readable attachments; raise `DocumentError(TOO_LARGE)`."""
        message = message_from_bytes(blob.as_bytes(), policy=policy.default)
        subject = _header(message, "Subject")
        body = message.get_body(("plain", "html"))
        heads: dict[str, str | None] = {name: _header(message, name) for name in _HEADERS}
        text, is_html = "", False
        if isinstance(body, EmailMessage):
            text, is_html = _text(body), body.get_content_subtype() == "html"
        yield from _letter(subject, heads, text, is_html)
        inside = Attachments(blob)
        for part in message.iter_attachments():
            if part.get_content_type() == "message/rfc822":
                for letter in part.iter_parts():
                    yield from inside.read(letter.as_bytes(), "message.eml")
                continue
            data = part.get_payload(decode=True)
            if isinstance(data, bytes) and data:
                inside.budget.spend(size=len(data), entries=1)
                yield from inside.read(data, part.get_filename() or "attachment")


class OutlookParser(BaseBlobParser):
    """Yields a letter saved by Outlook as one Document under its subject, then its attachments."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the letter and the readable attachments; raise `DocumentError(TOO_LARGE)`."""
        message = oxmsg.Message.load(io.BytesIO(blob.as_bytes()))
        heads = {
            "From": message.sender,
            "To": ", ".join(f"{r.name} <{r.email_address}>" for r in message.recipients),
            "Date": message.sent_date.isoformat(" ", "minutes") if message.sent_date else None,
            "Subject": message.subject,
        }
        body, is_html = message.body, False
        if not (body and body.strip()):
            body, is_html = message.html_body, True
        yield from _letter(message.subject or "", heads, body or "", is_html)
        inside = Attachments(blob)
        for attachment in message.attachments:
            if data := attachment.file_bytes:
                inside.budget.spend(size=len(data), entries=1)
                yield from inside.read(data, attachment.file_name or "attachment")


def _letter(
    subject: str, heads: dict[str, str | None], text: str, is_html: bool
) -> Iterator[Document]:
    """Yield a letter; the headings that HTML has are below its subject."""
    outline = Outline()
    outline.title = flow(subject)[:120] or None
    outline.block("\n".join(f"{name}: {flow(value)}" for name, value in heads.items() if value))
    if is_html and text.strip():
        yield from _below(outline.title, fragment(clean(text), outline))
    else:
        outline.block(clean(text))
    yield from _below(outline.title, outline.close())


def _below(title: str | None, parts: Iterator[Document]) -> Iterator[Document]:
    for part in parts:
        section = part.metadata["section"]
        if title and not section.startswith(title):
            part.metadata["section"] = f"{title} > {section}"
        yield part


def _header(message: EmailMessage, name: str) -> str:
    """Return a header as people read it; one that breaks every rule as it stands."""
    try:
        return str(message.get(name) or "")
    except Exception:  # the library's parser of addresses fails in many ways
        return str(dict(message.raw_items()).get(name) or "")


def _text(part: EmailMessage) -> str:
    payload: Any = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return decode(payload, part.get_content_charset()) if payload else ""
