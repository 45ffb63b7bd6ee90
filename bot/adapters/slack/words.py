"""The few words that belong to Slack itself: buttons, forms, prompts."""

from __future__ import annotations

from typing import Final

from bot.messages import Language

_WORDS: Final[dict[str, tuple[str, str]]] = {
    # Buttons
    "stop": ("Stop", "停止"),
    "again": ("Regenerate", "重新生成"),
    "good": ("Good answer", "回答得好"),
    "bad": ("Bad answer", "回答不好"),
    "case": ("Add to the regression file", "加入回归问题集"),
    "case_for": ("Add it; right is {name}", "加入，正确的是 {name}"),
    "share": ("Share to channel", "分享到频道"),
    "forget": ("Forget {name}", "忘记 {name}"),
    "forget_sure": (
        "Forget {name}? Its passages are deleted, and no answer will use it.",
        "要忘记 {name} 吗？它的段落会被删除，以后的回答不再使用它。",
    ),
    "keep": ("Keep", "收录"),
    "keep_asked": (
        "Shall I keep {names} for this channel's questions?",
        "要把 {names} 收录到这个频道吗？",
    ),
    "cancel": ("Cancel", "取消"),
    "close": ("Close", "关闭"),
    # Citations
    "source": ("Source {number}", "来源 {number}"),
    "page": ("Page {page}", "第 {page} 页"),
    # Replies to what people did
    "looking": ("Looking…", "正在查找…"),
    "shared": ("Question: {question}", "问题：{question}"),
    "shared_by": ("Shared by {person}", "由 {person} 分享"),
    # Forms
    "ask_title": ("Ask the documents", "向文档提问"),
    "ask_about_title": ("Ask about this", "就此提问"),
    "question": ("Question", "问题"),
    "where": ("Who sees the answer", "谁能看到回答"),
    "only_me": ("Only me", "只有我"),
    "everybody": ("Everybody in the channel", "频道里的所有人"),
    "ask": ("Ask", "提问"),
    "summarise_title": ("Summarise", "总结"),
    "document": ("Document", "文档"),
    "link": ("Or a link", "或者一个链接"),
    "summarise": ("Summarise", "总结"),
    "name_one": (
        "Choose a document, or write a link.",
        "请选择一个文档，或填写一个链接。",
    ),
    "about_this": ("About this message: “{text}”", "关于这条消息：“{text}”"),
    # The agent's pane and the home page
    "prompts": ("What would you like to know?", "您想了解什么？"),
    "what_can_you_do": ("What can you do?", "你能做什么？"),
    "home_title": ("TeamGLM", "TeamGLM"),
    "home_about": (
        "I answer from your team's documents and show where each answer stands. Mention me in a "
        "channel, write to me here, or use /ask. Files that you send me are learned for the place "
        "where you send them.",
        "我根据团队的文档回答问题，并标明出处。可以在频道里提到我、在这里给我发消息，或使用 /ask。"
        "发给我的文件只在发送的地方使用。",
    ),
    "home_documents": ("What I know for you", "您可以使用的文档"),
    "help": (
        "`/ask QUESTION` asks so that only you see the answer.\n"
        "`/summarise NAME` sums up a document or a link.\n"
        "`/glm learn LINK` learns a web page for this channel.\n"
        "`/glm VERB`: ask, search, summarise, learn, sources, forget, reindex, status, help.\n"
        "In threads, and about files, mention me or use a message's shortcuts: Summarise, "
        "Ask about this, Remember this thread.",
        "`/ask 问题`：回答只有您自己能看到。\n"
        "`/summarise 名称`：总结一个文档或链接。\n"
        "`/glm learn 链接`：让我学习一个网页，供这个频道使用。\n"
        "`/glm 动词`：ask、search、summarise、learn、sources、forget、reindex、status、help。\n"
        "在消息列里或针对文件，请提到我，或使用消息的快捷操作：总结、就此提问、记住这个消息列。",
    ),
}


def word(language: Language, key: str, **values: object) -> str:
    """Return one of Slack's own words, filled in."""
    return _WORDS[key][language == "zh"].format(**values)
