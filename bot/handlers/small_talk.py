"""Answer what wants nothing looked up: a few fixed words, never the model's."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say

_KINDS = {
    "thanks": r"thank|thx|\bty\b|cheers|appreciate|谢|感恩|辛苦|帮大忙",
    "hello": r"\b(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening)|nice to meet)\b"
    r"|你好|您好|早上好|早安|早啊|下午好|晚上好|嗨|在吗",
    "bye": r"\b(?:bye|good ?night|see you|cya|brb)\b|再见|拜拜|明天见|晚安|下班了",
    "sorry": r"\bsorry\b|my bad|wrong (?:window|channel)|抱歉|不好意思|对不起|发错",
}
_SPOKEN = {kind: re.compile(words, re.IGNORECASE) for kind, words in _KINDS.items()}


class SmallTalk:
    """Handles `small_talk`: a plain message that the router takes for it."""

    command = "small_talk"

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield a friendly word."""
        found = (kind for kind, spoken in _SPOKEN.items() if spoken.search(request.text))
        yield Reply("answer", say(language, f"talk_{next(found, 'else')}"), language)
