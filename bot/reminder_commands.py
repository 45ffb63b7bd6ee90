"""The commands about what is posted later."""

from __future__ import annotations

from bot.command import Argument, Choice, Command

_ZONE = Argument(
    "zone",
    "text",
    ("zone", "时区"),
    ("The time zone: Europe/Berlin, Asia/Shanghai, UTC", "时区：Asia/Shanghai、UTC"),
)


REMINDER_COMMANDS: tuple[Command, ...] = (
    Command(
        "remind",
        ("Remind", "提醒"),
        ("Post something later, once or again and again", "以后发送提醒或定时提问，一次或定期"),
        (
            Argument(
                "what",
                "text",
                ("what", "内容"),
                (
                    "What and when: tomorrow at 9 send the report",
                    "内容和时间：明天上午9点交周报",
                ),
                required=True,
            ),
            Argument(
                "when",
                "text",
                ("when", "时间"),
                ("When, if it isn't said above", "时间，如果内容里没有写"),
            ),
            Argument(
                "kind",
                "choice",
                ("kind", "类型"),
                ("Whether it is said as it is, or answered then", "到时原样发送，还是当作问题回答"),
                choices=(
                    Choice("text", ("a text", "文字")),
                    Choice("question", ("a question", "提问")),
                ),
            ),
            _ZONE,
        ),
        sees="person",
        verb=True,
    ),
    Command(
        "reminders",
        ("Reminders", "提醒列表"),
        ("List, confirm or cancel what is posted later", "列出、确认或取消以后要发送的内容"),
        (
            Argument(
                "change",
                "text",
                ("change", "操作"),
                (
                    "cancel 7, or confirm 7; nothing for the list",
                    "取消 7，或 确认 7；留空则列出全部",
                ),
            ),
        ),
        sees="person",
        verb=True,
    ),
    Command(
        "digest",
        ("Digest", "新文档"),
        ("New documents, posted here regularly", "定期在这里列出新增的文档"),
        (
            Argument(
                "when",
                "text",
                ("when", "时间"),
                ("on, off, or when: every Monday at 9", "开、关，或时间：每周一上午9点"),
            ),
            _ZONE,
        ),
        sees="person",
        verb=True,
    ),
)
