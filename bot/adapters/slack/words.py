"""The few words that belong to Slack itself: buttons, forms, prompts."""

from __future__ import annotations

from typing import Final

from bot.commands import COMMANDS
from bot.messages import Language

_WORDS: Final[dict[str, tuple[str, str]]] = {
    # Buttons
    "stop": ("Stop", "停止"),
    "again": ("Regenerate", "重新生成"),
    "as_question": ("Answer as a question", "当作问题回答"),
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
    "change": ("Change…", "更改…"),
    "cancel": ("Cancel", "取消"),
    "reminder_confirm": ("Confirm", "确认"),
    "reminder_cancel": ("Cancel", "取消"),
    "reminder_again": ("Again in an hour", "一小时后再提醒"),
    "close": ("Close", "关闭"),
    # Citations
    "source": ("Source {number}", "来源 {number}"),
    "page": ("Page {page}", "第 {page} 页"),
    # Replies to what people did
    "looking": ("Looking…", "正在查找…"),
    "shared": ("Question: {question}", "问题：{question}"),
    "shared_by": ("Shared by {person}", "由 {person} 分享"),
    "no_file": (
        "{name} can't be sent: give the Slack app the scope files:write.",
        "无法发送 {name}：请为 Slack 应用添加 files:write 权限。",
    ),
    # Forms
    "ask_about_title": ("Ask about this", "就此提问"),
    "question": ("Question", "问题"),
    "where": ("Who sees the answer", "谁能看到回答"),
    "only_me": ("Only me", "只有我"),
    "everybody": ("Everybody in the channel", "频道里的所有人"),
    "ask": ("Ask", "提问"),
    "name_one": ("Fill in one of these.", "请至少填写一项。"),
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
        "`/ask` and `/summarise` are `/glm ask` and `/glm summarise`. In threads, and about files, "
        "mention me or use a message's shortcuts: Summarise, Ask about this, Remember this thread.",
        "`/ask`、`/summarise` 就是 `/glm ask`、`/glm summarise`。"
        "在消息列里或针对文件，请提到我，或使用消息的快捷操作：总结、就此提问、记住这个消息列。",
    ),
}


def word(language: Language, key: str, **values: object) -> str:
    """Return one of Slack's own words, filled in."""
    return _WORDS[key][language == "zh"].format(**values)


def help_text(language: Language) -> str:
    """Return what works in Slack."""
    zh = language == "zh"
    colon = "：" if zh else ": "
    lines = [f"`/glm {each.usage(language)}`{colon}{each.about[zh]}" for each in COMMANDS]
    return "\n".join([*lines, word(language, "help")])
