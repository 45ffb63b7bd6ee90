"""Make a case of the regression file from an answer that somebody marked as bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.conversations import Conversations
from bot.feedback import Feedback
from bot.handlers.seeing import audience_of
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from bot.regression import Case, Regression
from rag.records import Records


class AddCase:
    """Handles `case`: `options["reply"]` is the id of the request that was answered.

    `request.text` names the document that has the answer, if that is known; corrections that
    people gave become what the answer should say.
    """

    command = "case"

    def __init__(
        self,
        conversations: Conversations,
        feedback: Feedback,
        regression: Regression,
        records: Records,
    ) -> None:
        self._conversations = conversations
        self._feedback = feedback
        self._regression = regression
        self._records = records

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield a receipt; the same answer is one case, however often it is added."""
        reply, name = str(request.options.get("reply", "")), request.text.strip()
        ratings = await self._feedback.of(request.platform, reply)
        if not any(rating.thumb == -1 for rating in ratings):
            yield Reply("error", say(language, "case_nothing"), language)
            return
        if name:
            audience = audience_of(request)
            found = await asyncio.to_thread(self._records.find_document, name, audience)
            name = found.document
        asker = await self._conversations.asker(request.platform, reply)
        people = [asker, *(f"{rating.platform}:{rating.user}" for rating in ratings)]
        said = ratings[-1].said
        case = Case(
            id=f"{request.platform}/{reply}",
            question=said.question,
            answers=tuple(rating.correction for rating in ratings if rating.correction),
            document=name,
            answerable=True,
            read=tuple(sorted(said.documents)),
            people=tuple(dict.fromkeys(person for person in people if person)),
        )
        await self._regression.add(case)
        key = "case_added_for" if name else "case_added"
        yield Reply("answer", say(language, key, document=name), language)
