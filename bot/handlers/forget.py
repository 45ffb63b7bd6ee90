"""Forget a document, or all that a person taught, with a receipt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict

from bot.channels import Channels
from bot.conversations import Conversations
from bot.feedback import Feedback
from bot.handlers.opening import opening
from bot.handlers.seeing import audience_of
from bot.handlers.teach import OPERATOR, taught_by
from bot.loading import Loading
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import counted, say
from bot.regression import Regression
from bot.reminders import Reminders
from rag.fetch import is_address, page_name
from rag.ingest.blobs import WEB
from rag.ingest.forgetting import Receipt
from rag.ingest.indexer import Indexer
from rag.records import Records


class Forget:
    """Handles `forget`: `request.text` is a document's id or unique name, or `options["user"]`."""

    command = "forget"

    def __init__(
        self,
        indexer: Indexer,
        records: Records,
        conversations: Conversations,
        feedback: Feedback,
        regression: Regression,
        channels: Channels,
        reminders: Reminders,
        *,
        needs: Sequence[Loading],
    ) -> None:
        self._indexer = indexer
        self._records = records
        self._said = (conversations, feedback, regression, channels, reminders)
        self._needs = needs

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the receipt; the next question finds nothing of what was forgotten."""
        user = request.options.get("user")
        reference = request.text.strip()
        if not user and not reference:
            yield Reply("error", say(language, "no_name"), language)
            return
        async for status in opening(self._needs, language):
            yield status
        if user:
            if request.platform != OPERATOR and str(user) != taught_by(request):
                yield Reply("error", say(language, "others_documents"), language)
                return
            receipts = await asyncio.to_thread(self._indexer.forget_user, str(user))
            for kept in self._said:
                await kept.forget_person(str(user))
                for receipt in receipts:
                    await kept.forget_document(receipt.document)
            await asyncio.to_thread(self._indexer.ledger.graves.scrub)
            text = "\n".join(self._line(receipt, language) for receipt in receipts)
            rows = [asdict(receipt) for receipt in receipts]
            text = text or say(language, "sources_none")
            yield Reply("answer", text, language, data=rows)
            return
        audience = audience_of(request)
        if is_address(reference):
            reference = page_name(reference, private=True)
        record = await asyncio.to_thread(self._records.find_document, reference, audience)
        receipt = await asyncio.to_thread(self._indexer.forget, record.id, audience)
        for kept in self._said:  # an answer may have its words
            await kept.forget_document(record.document)
        await asyncio.to_thread(self._indexer.ledger.graves.scrub)
        text = self._line(receipt, language)
        if record.source.startswith("folder:"):
            text += say(language, "file_still_there")
        elif record.source == WEB:
            text += say(language, "page_still_there")
        yield Reply("answer", text, language, data=asdict(receipt))

    def _line(self, receipt: Receipt, language: Language) -> str:
        verified = say(language, "verified") if receipt.verified else ""
        line = say(
            language,
            "forgotten",
            name=receipt.document,
            versions=counted(language, "versions", receipt.versions),
            passages=counted(language, "passages", receipt.chunks),
            rows=counted(language, "rows", receipt.rows),
            files=counted(language, "files", receipt.files),
            verified=verified,
        )
        return line if receipt.erased else line + say(language, "erased_later")
