"""What the bot says of itself: from what is so, and never from the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from bot.commands import COMMANDS
from bot.messages import Language
from bot.phrases import say
from rag.records import DocumentRecord

Topic = Literal["hello", "abilities", "documents", "model"]
_MOST = 50

_KNOW = r"(?:do you (?:know|have)|can you (?:see|read|search)|are (?:there|known)(?: here)?)"
_DOCS = r"(?:documents|files|docs|sources)"
_ASKED: dict[Topic, str] = {
    "hello": (
        r"hi|hello|hey|good (?:morning|afternoon|evening)|thanks|thank you|(?:who|what) are you"
        r"|你好|您好|嗨|早上好|下午好|晚上好|谢谢|你是谁|你是什么"
    ),
    "abilities": (
        r"help|what (?:can|do) you do|what (?:are|is) your (?:skills|abilities|commands)"
        r"|what commands (?:do you have|are there)|how do you work|how do i use you"
        r"|帮助|你(?:都)?(?:能|会|可以)(?:做|干|帮我做)?(?:些)?(?:什么|啥)(?:呢)?|你有(?:什么|哪些)(?:功能|命令|本领)"
        r"|怎么(?:使)?用你?"
    ),
    "documents": (
        rf"(?:which|what) {_DOCS} {_KNOW}|(?:list|show)(?: me)?(?: all)?(?: the| your)? {_DOCS}"
        r"|what do you know"
        r"|你(?:都)?(?:知道|有|学过|读过|能查)(?:些)?(?:哪些|什么)(?:文档|文件|资料)"
        r"|(?:这里)?有(?:哪些|什么)(?:文档|文件|资料)|列出(?:所有)?(?:文档|文件|资料)"
    ),
    "model": (
        r"(?:which|what)(?: language| chat| ai)? model (?:are you|do you (?:use|run)|is this)"
        r"|what are you (?:running on|based on)|are you (?:chat)?(?:gpt|glm|claude)"
        r"|你(?:是|用(?:的)?(?:是)?)(?:哪个|什么|哪种)(?:语言)?(?:大)?模型|你(?:是|用的是)(?:chat)?(?:gpt|glm)吗"
    ),
}
_TOPICS = {
    topic: re.compile(rf"\W*(?:{asked})\W*", re.IGNORECASE) for topic, asked in _ASKED.items()
}


def topic_of(question: str) -> Topic | None:
    """Return what a message asks the bot about itself; None for every other one."""
    return next((topic for topic, asked in _TOPICS.items() if asked.fullmatch(question)), None)


def told(topic: Topic, known: Sequence[DocumentRecord], model: str, language: Language) -> str:
    """Return the answer; `known` are the documents that the asker may see."""
    ready = [record.document for record in known if record.state == "ready"]
    about = say(language, "about", documents=len(ready), model=model)
    match topic:
        case "hello":
            return about
        case "abilities":
            zh = language == "zh"
            lines = [f"- {each.label[zh]}: {each.about[zh]}" for each in COMMANDS]
            return "\n\n".join([about, "\n".join(lines)])
        case "documents":
            if not ready:
                return say(language, "sources_none")
            lines = [f"- {name}" for name in ready[:_MOST]]
            if len(ready) > _MOST:
                lines.append(f"- … (+ {len(ready) - _MOST})")
            return "\n".join([say(language, "i_know", documents=len(ready)), *lines])
        case "model":
            return say(language, "status_model", model=model)
