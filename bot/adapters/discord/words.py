"""What buttons, menus and commands are called in Discord, in English and Chinese."""

from __future__ import annotations

from bot.messages import Language

_WORDS: dict[str, tuple[str, str]] = {
    "stop": ("Stop", "停止"),
    "again": ("Regenerate", "重新生成"),
    "redo": ("Answer as a question", "当作问题回答"),
    "share": ("Share to channel", "分享到频道"),
    "case": ("Add to the regression file", "加入回归问题集"),
    "case_for": ("Add it; right is {name}", "加入，正确的是 {name}"),
    "sources": ("Open a source…", "打开一处来源……"),
    "page": ("p. {page}", "第 {page} 页"),
    "forget": ("Forget {name}", "忘记 {name}"),
    "keep": ("Keep", "保存"),
    "reminder_confirm": ("Confirm", "确认"),
    "reminder_cancel": ("Cancel", "取消"),
    "reminder_again": ("Again in an hour", "一小时后再提醒"),
    "leave": ("No, thanks", "不用了"),
    "offer": (
        "Shall I remember {names}, so that everybody here can ask about it?",
        "要我记住 {names} 吗？这样这里的人都可以就它提问。",
    ),
    "left": ("I didn't keep {names}.", "没有保存 {names}。"),
    "ask_title": ("Ask about this", "就此提问"),
    "your_question": ("Your question", "你的问题"),
    "shared_by": ("Shared by {person}", "由 {person} 分享"),
    "not_yours": (
        "Only the person who asked, or who manages this server, may do that.",
        "只有提问的人或管理此服务器的人可以这样做。",
    ),
    "gone": (
        "The question is no longer there.",
        "问题已不在了。",
    ),
    "nothing_here": (
        "There is nothing to read in this message.",
        "这条消息里没有可读的内容。",
    ),
    "no_thread": (
        "This works in threads: open one, and choose it there.",
        "这项功能用于子区：请在子区里使用。",
    ),
    "failed": (
        "Something went wrong on my side; it is in the log. Please try again.",
        "我这边出了问题，已记录在日志中。请再试一次。",
    ),
    "thanks": ("Thank you.", "谢谢。"),
}


def word(language: Language, key: str, **values: str) -> str:
    """Return a word or sentence in the language, filled in."""
    return _WORDS[key][language == "zh"].format(**values)
