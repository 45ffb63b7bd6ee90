"""What the chat model is told to compare, write, translate and extract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from langchain_core.messages import BaseMessage

from rag.language import Language
from rag.prompts import chat_prompt, quoted

_COMPARE = {
    "en": (
        "{texts}\n\nCompare these texts in English in at most {sentences} short sentences: what "
        "they share, and where they differ. Name the text that a sentence is about, and keep "
        "names, numbers and dates. Write only the comparison."
    ),
    "zh": (
        "{texts}\n\n用中文比较以上各份内容，最多 {sentences} 个短句：哪些相同，哪些不同。"
        "每句话写明说的是哪一份，保留人名、数字和日期。只写比较结果。"
    ),
}
_NAMED = {
    "en": "Text of “{name}”:\n<text>\n{text}\n</text>",
    "zh": "《{name}》的内容：\n<text>\n{text}\n</text>",
}

_DRAFT = {
    "en": (
        "{facts}Write this in English: {brief}\n\nFollow this template, and leave out what isn't "
        "known:\n{template}\n\nWrite only the text."
    ),
    "zh": (
        "{facts}用中文写：{brief}\n\n按照以下模板，不知道的内容不要写：\n{template}\n\n只写正文。"
    ),
}
_FACTS = {
    "en": "Facts, the only ones that you know:\n<text>\n{facts}\n</text>\n\n",
    "zh": "已知事实（只能使用这些）：\n<text>\n{facts}\n</text>\n\n",
}
_REWRITE = {
    "en": "<text>\n{text}\n</text>\n\nRewrite this text in English: {how}. Keep every fact, "
    "name, number and date. Write only the new text.",
    "zh": "<text>\n{text}\n</text>\n\n用中文改写这段文字，要求：{how}。"
    "保留所有事实、人名、数字和日期。只写改写后的文字。",
}
_TRANSLATE = {
    "en": "<text>\n{text}\n</text>\n\nTranslate this text into English, all of it, keeping "
    "names, numbers and line breaks. Write only the translation.",
    "zh": "<text>\n{text}\n</text>\n\n把这段文字完整翻译成中文，保留人名、数字和换行。只写译文。",
}

_EXTRACT = {
    "en": (
        "Text of “{name}”:\n<text>\n{text}\n</text>\n\nFill in this JSON Schema from the "
        "text, each value word for word as the text has it, and null where the text doesn't say "
        "it.\n{schema}\nWrite only the JSON."
    ),
    "zh": (
        "《{name}》的内容：\n<text>\n{text}\n</text>\n\n根据内容填写以下 JSON Schema，"
        "每个值照抄原文，原文没有的填 null。\n{schema}\n只写 JSON。"
    ),
}
# Without examples of it small models hardly ever choose none.
_CHOOSE = {
    "en": (
        "Tools:\n<text>\n{tools}\n- {none}: anything else: the team's own rules, documents, "
        "numbers and people, small talk, writing\n</text>\n\nExamples of {none}:\n"
        "How many people work here? -> {none}\nWhat may I claim for a taxi? -> {none}\n"
        "Thanks! -> {none}\n\nQuestion: {question}\n\nWhich one tells what the question asks?\n"
        'Write only the JSON: {{"tool": …}}'
    ),
    "zh": (
        "工具：\n<text>\n{tools}\n"
        "- {none}: 其他一切：团队自己的制度、文档、数据和人员，闲聊，写作\n</text>\n\n"
        "属于 {none} 的例子：\n公司有多少人？ -> {none}\n打车费怎么报销？ -> {none}\n"
        "谢谢！ -> {none}\n\n问题：{question}\n\n哪一个能查到问题要的内容？\n"
        '只写 JSON：{{"tool": …}}'
    ),
}
_FILL = {
    "en": (
        "Tool: {tool}\n\nQuestion: {question}\n\nFill in this JSON Schema with what the question "
        "says, and null where it doesn't say it.\n{schema}\nWrite only the JSON."
    ),
    "zh": (
        "工具：{tool}\n\n问题：{question}\n\n根据问题填写以下 JSON Schema，问题没有说的填 null。"
        "\n{schema}\n只写 JSON。"
    ),
}
_ONCE_MORE = {
    "en": "That doesn't fit the schema ({problem}). Write only the JSON.",
    "zh": "这不符合 JSON Schema（{problem}）。请只写 JSON。",
}


def compare_prompt(
    texts: Sequence[tuple[str, str]], language: Language, sentences: int
) -> list[BaseMessage]:
    """Return the messages that ask the model to compare texts, each with its name."""
    named = [_NAMED[language].format(name=quoted(name), text=quoted(text)) for name, text in texts]
    return chat_prompt(_COMPARE[language]).format_messages(
        texts="\n\n".join(named), sentences=sentences, history=[]
    )


def draft_prompt(brief: str, template: str, facts: str, language: Language) -> list[BaseMessage]:
    """Return the messages that ask the model to write after a template, with facts or without."""
    told = _FACTS[language].format(facts=quoted(facts)) if facts else ""
    return chat_prompt(_DRAFT[language]).format_messages(
        brief=quoted(brief), template=quoted(template), facts=told, history=[]
    )


def rewrite_prompt(text: str, how: str, language: Language) -> list[BaseMessage]:
    """Return the messages that ask the model to rewrite a text."""
    return chat_prompt(_REWRITE[language]).format_messages(
        text=quoted(text), how=quoted(how), history=[]
    )


def translate_prompt(text: str, language: Language) -> list[BaseMessage]:
    """Return the messages that ask the model to translate a text into a language."""
    return chat_prompt(_TRANSLATE[language]).format_messages(text=quoted(text), history=[])


def extraction_prompt(name: str, text: str, schema: str, language: Language) -> list[BaseMessage]:
    """Return the messages that ask the model to fill in a JSON Schema from a text."""
    return chat_prompt(_EXTRACT[language]).format_messages(
        name=quoted(name), text=quoted(text), schema=quoted(schema), history=[]
    )


def choosing_prompt(
    question: str, tools: Mapping[str, str], none: str, language: Language
) -> list[BaseMessage]:
    """Return the messages that ask the model which tool a question wants, by what each tells."""
    listed = "\n".join(f"- {name}: {about}" for name, about in tools.items())
    return chat_prompt(_CHOOSE[language]).format_messages(
        question=quoted(question), tools=quoted(listed), none=none, history=[]
    )


def filling_prompt(question: str, tool: str, schema: str, language: Language) -> list[BaseMessage]:
    """Return the messages that ask the model for the values that a question gives a tool."""
    return chat_prompt(_FILL[language]).format_messages(
        question=quoted(question), tool=quoted(tool), schema=quoted(schema), history=[]
    )


def once_more(problem: str, language: Language) -> str:
    """Return what is said to the model about JSON that doesn't fit."""
    return _ONCE_MORE[language].format(problem=problem)
