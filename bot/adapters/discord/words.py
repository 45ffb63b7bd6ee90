"""What buttons, menus and commands are called in Discord, in English and Chinese."""

from __future__ import annotations

from bot.messages import Language

_WORDS: dict[str, tuple[str, str]] = {
    "stop": ("Stop", "停止"),
    "again": ("Regenerate", "重新生成"),
    "share": ("Share to channel", "分享到频道"),
    "case": ("Add to the regression file", "加入回归问题集"),
    "case_for": ("Add it; right is {name}", "加入，正确的是 {name}"),
    "sources": ("Open a source…", "打开一处来源……"),
    "page": ("p. {page}", "第 {page} 页"),
    "forget": ("Forget {name}", "忘记 {name}"),
    "keep": ("Keep", "保存"),
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


COMMANDS = {
    # What Discord shows of commands: its own names are English, these are the Chinese ones.
    "ask": "提问",
    "Ask a question about the team's documents": "就团队的文档提问",
    "question": "问题",
    "What you want to know": "你想知道的内容",
    "public": "公开",
    "Answer for everybody here, and not only for you": "让这里所有人都能看到回答",
    "search": "搜索",
    "Find passages in the documents": "在文档中查找段落",
    "words": "关键词",
    "What to look for": "要查找的内容",
    "summarise": "总结",
    "Summarise a document": "总结一份文档",
    "document": "文档",
    "A document's name as /sources lists it": "/sources 列出的文档名称",
    "file": "文件",
    "A file to read and summarise": "要阅读并总结的文件",
    "link": "链接",
    "The address of a page to read and summarise": "要阅读并总结的网页地址",
    "learn": "学习",
    "Learn a web page for this channel": "让机器人学习一个网页，供此频道使用",
    "The page's address, beginning with https://": "以 https:// 开头的网址",
    "sources": "资料",
    "List the documents known here": "列出这里已知的文档",
    "forget": "忘记",
    "Delete a document from the bot's memory": "让机器人忘记一份文档",
    "reindex": "重建索引",
    "Read the watched folders again": "重新读取知识库文件夹",
    "status": "状态",
    "What the bot knows, its model and its health": "机器人知道什么、用什么模型、是否正常",
    "help": "帮助",
    "What the bot can do here": "机器人在这里能做什么",
    "Summarise": "总结",
    "Ask about this": "就此提问",
    "Remember this thread": "记住这个子区",
}
