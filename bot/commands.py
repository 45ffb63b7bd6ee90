"""The commands that people give, one declaration each; every surface makes its own of them.

Slack's `/glm VERB` and its forms, Discord's native commands, the page's and the console's typed
commands and the command line's verbs all come from `COMMANDS`. A new skill is a file in
`bot/handlers`, a declaration here and a line in `bot/app.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.command import Argument, Choice, Command, Words
from bot.reminder_commands import REMINDER_COMMANDS

_DOCUMENT_NAME: Words = ("A document's name as /sources lists it", "/sources 列出的文档名称")
_LANGUAGE = Argument(
    "language",
    "choice",
    ("language", "语言"),
    ("The language to write in", "用哪种语言写"),
    choices=(Choice("en", ("English", "英文")), Choice("zh", ("Chinese", "中文"))),
)
_LENGTH = Argument(
    "length",
    "choice",
    ("length", "篇幅"),
    ("How much to write", "写多长"),
    choices=(
        Choice("short", ("short", "短")),
        Choice("medium", ("medium", "中")),
        Choice("long", ("long", "长")),
    ),
)
_FILE = Argument("file", "file", ("file", "文件"), ("A file to read", "要阅读的文件"))
_LINK = Argument(
    "link", "link", ("link", "链接"), ("The address of a page to read", "要阅读的网页地址")
)

_TEXT = Argument(
    "text",
    "text",
    ("text", "文字"),
    ("The text itself, or a document's name", "文字内容，或文档名称"),
    required=True,
)
SETTINGS = Command(
    "settings",
    ("Settings", "设置"),
    (
        "Language, tone, model, folders and teachers here",
        "此处的语言、语气、模型、文件夹和学习权限",
    ),
    (
        Argument(
            "show",
            "choice",
            ("show", "显示"),
            ("What to show; or a change: language zh", "显示什么；或一项更改：语言 中文"),
            choices=(
                Choice("show", ("settings", "设置")),
                Choice("history", ("history", "历史")),
            ),
        ),
        Argument(
            "language",
            "choice",
            ("language", "语言"),
            ("The language of all answers here", "这里用什么语言回答"),
            choices=(
                Choice("auto", ("the question's own", "与问题相同")),
                Choice("en", ("English", "英文")),
                Choice("zh", ("Chinese", "中文")),
            ),
        ),
        Argument(
            "tone",
            "choice",
            ("tone", "语气"),
            ("How answers sound here", "这里用什么语气回答"),
            choices=(
                Choice("plain", ("plain", "平实")),
                Choice("friendly", ("friendly", "亲切")),
                Choice("formal", ("formal", "正式")),
            ),
        ),
        Argument(
            "model",
            "text",
            ("model", "模型"),
            ("The chat model that answers here, or default", "这里由哪个对话模型回答，或“默认”"),
        ),
        Argument(
            "folders",
            "text",
            ("folders", "文件夹"),
            ("The watched folders that answer here, or all", "这里用哪些文件夹回答，或“全部”"),
        ),
        Argument(
            "teach",
            "text",
            ("teach", "学习权限"),
            (
                "Who may teach here: anyone, admins, slack:U012",
                "谁可以教：任何人、管理员、slack:U012",
            ),
        ),
    ),
    sees="person",
    verb=True,
)

COMMANDS: tuple[Command, ...] = (
    Command(
        "ask",
        ("Ask", "提问"),
        ("Ask a question about the team's documents", "就团队的文档提问"),
        (
            Argument(
                "question",
                "text",
                ("question", "问题"),
                ("What you want to know", "你想知道的内容"),
                required=True,
            ),
        ),
        sees="choice",
        writes=True,
    ),
    Command(
        "search",
        ("Search", "搜索"),
        ("Find passages in the documents", "在文档中查找段落"),
        (
            Argument(
                "words",
                "text",
                ("words", "关键词"),
                ("What to look for", "要查找的内容"),
                required=True,
            ),
        ),
        sees="person",
    ),
    Command(
        "summarise",
        ("Summarise", "总结"),
        ("Summarise a document", "总结一份文档"),
        (
            Argument("document", "document", ("document", "文档"), _DOCUMENT_NAME, required=True),
            _FILE,
            _LINK,
            _LENGTH,
            _LANGUAGE,
        ),
        aliases=("summarize", "摘要"),
        writes=True,
        verb=True,
    ),
    Command(
        "compare",
        ("Compare", "比较"),
        ("Compare documents: what they share, where they differ", "比较几份文档的异同"),
        (
            Argument("document", "documents", ("documents", "文档"), _DOCUMENT_NAME, required=True),
            _FILE,
            _LENGTH,
            _LANGUAGE,
        ),
        writes=True,
        verb=True,
    ),
    Command(
        "write",
        ("Write", "写作"),
        ("Write an outline, announcement, email or report", "写提纲、公告、邮件或报告"),
        (
            Argument(
                "brief",
                "text",
                ("brief", "要求"),
                ("What to write, and for whom", "写什么，写给谁"),
                required=True,
            ),
            Argument(
                "template",
                "text",
                ("template", "模板"),
                (
                    "outline, announcement, email, report, or the team's own",
                    "outline、announcement、email、report，或团队自己的",
                ),
                default="outline",
            ),
            Argument(
                "facts",
                "choice",
                ("facts", "依据"),
                ("Where the facts come from", "事实出自哪里"),
                choices=(Choice("documents", ("the documents", "团队文档")),),
            ),
            _LANGUAGE,
        ),
        sees="choice",
        writes=True,
        verb=True,
    ),
    Command(
        "rewrite",
        ("Rewrite", "改写"),
        ("Write a text anew: shorter, friendlier, clearer", "改写一段文字：更短、更友好、更清楚"),
        (
            _TEXT,
            Argument(
                "how",
                "text",
                ("how", "方式"),
                ("How it shall be: shorter, friendlier", "改成什么样：更短、更友好"),
            ),
            _FILE,
            _LANGUAGE,
        ),
        sees="choice",
        writes=True,
        verb=True,
    ),
    Command(
        "translate",
        ("Translate", "翻译"),
        ("Translate a text or a document between English and Chinese", "中英文互译文字或文档"),
        (_TEXT, _FILE, _LANGUAGE),
        sees="choice",
        writes=True,
        verb=True,
    ),
    Command(
        "extract",
        ("Extract", "提取"),
        ("Get values out of documents, each with its passage", "从文档中提取信息，每项附原文出处"),
        (
            Argument("document", "documents", ("documents", "文档"), _DOCUMENT_NAME, required=True),
            Argument(
                "fields",
                "text",
                ("fields", "字段"),
                (
                    "What to look for: name, due date; or a JSON Schema",
                    "要找的内容：姓名，截止日期；或 JSON Schema",
                ),
                required=True,
            ),
            _FILE,
            _LINK,
            Argument(
                "format",
                "choice",
                ("format", "格式"),
                ("The file that comes back", "返回的文件格式"),
                choices=(
                    Choice("csv", ("CSV", "CSV 文件")),
                    Choice("xlsx", ("XLSX (Excel)", "XLSX 文件（Excel）")),
                ),
            ),
            _LANGUAGE,
        ),
        writes=True,
        verb=True,
    ),
    Command(
        "table",
        ("Table", "表格"),
        ("Compute an answer from the rows of a sheet", "对表格中的数据提问并计算"),
        (
            Argument(
                "question",
                "text",
                ("question", "问题"),
                ("What to compute", "要计算什么"),
                required=True,
            ),
            Argument("document", "document", ("document", "文档"), _DOCUMENT_NAME),
            _LANGUAGE,
        ),
        writes=True,
        verb=True,
    ),
    Command(
        "lookup",
        ("Look up", "查询"),
        ("Ask a web page, or an API that is set up here", "向网页或已设置的接口提问"),
        (
            Argument(
                "question",
                "text",
                ("question", "问题"),
                ("What to look up; with the address of a page", "要查什么；可以写上网页地址"),
                required=True,
            ),
            Argument(
                "tool",
                "text",
                ("tool", "工具"),
                ("The API to ask, by its name", "要查询的接口名称"),
            ),
            _LANGUAGE,
        ),
        writes=True,
        verb=True,
    ),
    Command(
        "missed",
        ("Missed", "错过"),
        ("What was said in this channel since a time", "总结这个频道在某个时间之后说了什么"),
        (
            Argument(
                "since",
                "since",
                ("since", "从"),
                ("From when on: 2h, 3d, yesterday, Monday", "从何时起：2小时、3天、昨天、周一"),
                default="1d",
            ),
            _LENGTH,
            _LANGUAGE,
        ),
        sees="person",
        writes=True,
    ),
    *REMINDER_COMMANDS,
    Command(
        "learn",
        ("Learn", "学习"),
        ("Learn a web page for this channel", "让机器人学习一个网页，供此频道使用"),
        (
            Argument(
                "link",
                "link",
                ("link", "链接"),
                ("The page's address, beginning with https://", "以 https:// 开头的网址"),
                required=True,
            ),
        ),
    ),
    Command(
        "sources",
        ("Sources", "资料"),
        ("List the documents known here", "列出这里已知的文档"),
        sees="person",
    ),
    Command(
        "forget",
        ("Forget", "忘记"),
        ("Delete a document from the bot's memory", "让机器人忘记一份文档"),
        (Argument("document", "document", ("document", "文档"), _DOCUMENT_NAME, required=True),),
        sees="person",
    ),
    Command(
        "reindex",
        ("Reindex", "重建索引"),
        ("Read the watched folders again", "重新读取知识库文件夹"),
        handles="index",
        aliases=("index",),
        sees="person",
    ),
    SETTINGS,
    Command(
        "status",
        ("Status", "状态"),
        ("What the bot knows, its model and its health", "机器人知道什么、用什么模型、是否正常"),
        sees="person",
    ),
    Command(
        "help",
        ("Help", "帮助"),
        ("What the bot can do here", "机器人在这里能做什么"),
        sees="person",
    ),
)
"""Every command, in the order in which they are listed."""

SCHEDULED = "scheduled"
"""The command of a question that is due: no person gives it, but it is answered as any is."""
GENERATED = frozenset(command.handler for command in COMMANDS if command.writes) | {SCHEDULED}
PRIVATE = frozenset(command.handler for command in COMMANDS if command.sees != "place")


def find(name: str) -> Command | None:
    """Return the command of a name, an alias or a label."""
    wanted = name.casefold()
    for command in COMMANDS:
        if wanted in (command.name, *command.aliases, *map(str.casefold, command.label)):
            return command
    return None


def wrong(handler: str, options: Mapping[str, Any]) -> tuple[Argument, object] | None:
    """Return the first option of a request that can't be meant, with its value."""
    for command in COMMANDS:
        if command.handler == handler:
            for argument in command.arguments[1:]:
                if argument.name in options and not argument.allows(options[argument.name]):
                    return argument, options[argument.name]
    return None
