"""What the chat model is told: one fixed prefix, then the sources, then the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_core.messages import BaseMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from rag.language import Language

# One system prompt for both languages: models keep the prefix that they read last.
_SYSTEM = (
    "You answer questions about a team's documents, only from the sources given, "
    "in the language of the question."
)

_ASK = {
    "en": "Sources:\n{sources}\n\nQuestion: {question}\n{how}",
    "zh": "资料：\n{sources}\n\n问题：{question}\n{how}",
}

# Small models, once they are invited to say that they don't know, say so of every other question
# that the sources do answer. So they are invited only where retrieval itself is in doubt.
_SURE = {
    "en": "Answer in one or two sentences.",
    "zh": "请用一两句话回答。",
}
_IN_DOUBT = {
    "en": (
        "Answer in one sentence from the sources. If the sources say nothing about it, "
        "reply: I don't know."
    ),
    "zh": "请根据资料用一句话回答。如果资料完全没有提到，请回答：我不知道。",
}

_SUMMARISE = {
    "en": (
        "Text of “{name}”:\n{text}\n\nSummarise this text in English in at most {sentences} "
        "short sentences, keeping names, numbers and dates. Write only the summary."
    ),
    "zh": (
        "《{name}》的内容：\n{text}\n\n用中文总结这段内容，最多 {sentences} 个短句，"
        "保留人名、数字和日期。只写总结。"
    ),
}

_UNKNOWN = re.compile(
    r"^\W*(?:i(?:'m\s+sorry,?\s+(?:but\s+)?i)?\s+(?:don['’]?t|do\s+not)\s+know\b|(?:我)?不知道|"
    r"(?:the\s+)?(?:given\s+|provided\s+)?sources?\s+(?:do(?:es)?\s+not|do(?:es)?n['’]t)\s|"
    r"(?:none\s+of\s+the\s+sources?|no\s+sources?)\s+mentions?|"
    r"(?:所有|这些|提供的)?资料(?:中|里|中都|里都)?(?:都|并|完全)?(?:没有|未)(?:提[到及供]|说明))",
    re.IGNORECASE,
)
_NUMBERS = re.compile(
    r"\s*[\[［【(（]\s*(?:(?:sources?|资料|来源|编号)\s*[:：]?\s*)?\d+(?:\s*[,，、]\s*\d+)*\s*[\])）】］]"
)
_LEAD = re.compile(
    r"^\s*(?:(?:answer|according to source \d+|source \d+)\s*[:,]\s*"
    r"|(?:答|回答|答案)[:：]\s*|根据资料\s*\d*\s*[，,：:]?\s*|(?:资料|编号)\s*\d+\s*[：:，,]\s*)",
    re.IGNORECASE,
)


def _prompt(human: str) -> ChatPromptTemplate:
    return ChatPromptTemplate.from_messages(
        [("system", _SYSTEM), MessagesPlaceholder("history"), ("human", human)]
    )


def ask_prompt(
    question: str,
    sources: str,
    language: Language,
    history: Sequence[BaseMessage] = (),
    *,
    sure: bool,
) -> list[BaseMessage]:
    """Return the messages that ask the model a question about sources.

    `sure` says that the sources have the answer; else the model may say that they don't.
    """
    return _prompt(_ASK[language]).format_messages(
        question=question,
        sources=sources,
        how=(_SURE if sure else _IN_DOUBT)[language],
        history=list(history),
    )


def summary_prompt(name: str, text: str, language: Language, sentences: int) -> list[BaseMessage]:
    """Return the messages that ask the model for a summary of a text."""
    return _prompt(_SUMMARISE[language]).format_messages(
        name=name, text=text, sentences=sentences, history=[]
    )


def says_unknown(sentence: str) -> bool:
    """Tell whether the model says that the sources don't have the answer."""
    return bool(_UNKNOWN.match(_NUMBERS.sub("", sentence)))


def without_numbers(sentence: str) -> str:
    """Return a sentence without the source numbers that the model wrote: they are often wrong."""
    return _LEAD.sub("", _NUMBERS.sub("", sentence))
