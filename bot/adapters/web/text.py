"""Every sentence of the page, in both languages."""

from __future__ import annotations

from bot.messages import Language

TEXT: dict[Language, dict[str, str]] = {
    "en": {
        # The frame
        "language": "Interface language",
        "views": "Views",
        "chat": "Chat",
        "documents": "Documents",
        "loading": "Loading the {part}…",
        "ready": "Ready · {documents}",
        "reading": "Reading {done} of {total} documents",
        "one_document": "1 document",
        "many_documents": "{count} documents",
        "starting": "Starting…",
        # The conversation
        "conversation": "Conversation",
        "welcome": "What would you like to know?",
        "welcome_more": "Answers come from your team's documents, and every sentence shows "
        "the passage it rests on.",
        "examples": "For example",
        "ask": "Ask about your documents",
        "hint": "Enter sends, Shift + Enter starts a new line. "
        "/summarise NAME summarises a document, /help lists the commands.",
        "send": "Send",
        "stop": "Stop",
        "regenerate": "Regenerate",
        "clear": "New conversation",
        "up": "Good answer",
        "down": "Bad answer",
        "case": "Add to the regression file",
        "case_for": "Add it; right is {name}",
        "you": "You",
        "thinking": "Looking…",
        "reading_sources": "Reading: {sources}",
        "sources": "Sources",
        "closest": "The nearest documents",
        "passage": "Passage {number}",
        "page_picture": "{place}, with the passage marked",
        "close": "Close",
        "page": "p. {page}",
        "refusal": "Not in the documents",
        "busy": "Busy",
        "error": "That didn't work",
        "stopped": "Stopped",
        "broken": "Something went wrong on our side. Please try again.",
        # The documents
        "add": "Add documents",
        "add_more": "or drop them here · up to {limit} each",
        "too_large": "{name}: larger than {limit}, so it was not sent.",
        "not_sent": "{name}: could not be sent. Please try again.",
        "sending": "Sending {name} ({done} of {total})",
        "received": "Received, waiting to be read…",
        "no_documents": "No documents yet. Add some here, or put files into the watched folder.",
        "one_passage": "1 passage",
        "many_passages": "{count} passages",
        "one_page": "1 page",
        "many_pages": "{count} pages",
        "state_ready": "ready",
        "state_waiting": "waiting",
        "state_reading": "being read",
        "state_failed": "failed",
        "version": "version {number}",
        "taught": "{day}",
        "taught_web": "added here, {day}",
        "taught_cli": "from the command line, {day}",
        "taught_slack": "from {who} on Slack, {day}",
        "taught_discord": "from {who} on Discord, {day}",
        "paused": "Reading is paused",
        "pause": "Pause",
        "resume": "Resume",
        "more_documents": "… and {count} more",
        "summarise": "Summarise",
        "summarise_name": "Summarise {name}",
        "delete": "Delete",
        "delete_name": "Delete {name}",
        "delete_sure": "Delete “{name}”? The bot forgets it and all its passages.",
        "cancel": "Cancel",
    },
    "zh": {
        "language": "界面语言",
        "views": "视图",
        "chat": "对话",
        "documents": "文档",
        "loading": "正在加载{part}……",
        "ready": "就绪 · {documents}",
        "reading": "正在读取第 {done} 份文档，共 {total} 份",
        "one_document": "1 份文档",
        "many_documents": "{count} 份文档",
        "starting": "正在启动……",
        "conversation": "对话",
        "welcome": "想了解什么？",
        "welcome_more": "回答出自团队的文档，每句话都附有所依据的原文。",
        "examples": "例如",
        "ask": "就文档提问",
        "hint": "回车发送，Shift + 回车换行。“/总结 文档名”总结一份文档，“/帮助”列出所有命令。",
        "send": "发送",
        "stop": "停止",
        "regenerate": "重新生成",
        "clear": "新对话",
        "up": "回答得好",
        "down": "回答不好",
        "case": "加入回归问题集",
        "case_for": "加入，正确的是 {name}",
        "you": "你",
        "thinking": "正在查找……",
        "reading_sources": "正在阅读：{sources}",
        "sources": "出处",
        "closest": "最接近的文档",
        "passage": "段落 {number}",
        "page_picture": "{place}，已标出该段落",
        "close": "关闭",
        "page": "第 {page} 页",
        "refusal": "文档中没有",
        "busy": "忙碌",
        "error": "没有成功",
        "stopped": "已停止",
        "broken": "我们这边出了问题，请再试一次。",
        "add": "添加文档",
        "add_more": "或拖放到这里 · 每份不超过 {limit}",
        "too_large": "{name}：超过 {limit}，没有发送。",
        "not_sent": "{name}：没能发送，请再试一次。",
        "sending": "正在发送 {name}（{done}/{total}）",
        "received": "已收到，等待读取……",
        "no_documents": "还没有文档。可以在这里添加，或把文件放进受监视的文件夹。",
        "one_passage": "1 个段落",
        "many_passages": "{count} 个段落",
        "one_page": "1 页",
        "many_pages": "{count} 页",
        "state_ready": "就绪",
        "state_waiting": "等待中",
        "state_reading": "读取中",
        "state_failed": "失败",
        "taught": "{day}",
        "taught_web": "{day} 在此添加",
        "taught_cli": "{day} 由命令行添加",
        "taught_slack": "{day} 由 {who} 在 Slack 提供",
        "taught_discord": "{day} 由 {who} 在 Discord 提供",
        "version": "第 {number} 版",
        "paused": "读取已暂停",
        "pause": "暂停",
        "resume": "继续",
        "more_documents": "……另有 {count} 份",
        "summarise": "总结",
        "summarise_name": "总结 {name}",
        "delete": "删除",
        "delete_name": "删除 {name}",
        "delete_sure": "删除“{name}”？机器人将忘记它和它的所有段落。",
        "cancel": "取消",
    },
}

PARTS: dict[str, str] = {
    "embedding model": "向量模型",
    "chat model": "对话模型",
    "documents": "文档",
    "index": "索引",
    "page": "页面",
}
"""The Chinese names of what can still be loading."""


def say(language: Language, key: str, **values: object) -> str:
    """Return the page's sentence `key` in a language, with its values filled in."""
    return TEXT[language][key].format(**values) if values else TEXT[language][key]


def count(language: Language, noun: str, number: int) -> str:
    """Return `number` with its noun: document, page or passage."""
    key = f"one_{noun}" if number == 1 else f"many_{noun}s"
    return TEXT[language][key].format(count=number)


def size(limit: int) -> str:
    """Return a number of bytes as people read it: "50 MB"."""
    mebibytes = limit / 2**20
    return f"{mebibytes:g} MB" if mebibytes >= 1 else f"{limit / 2**10:g} KB"
