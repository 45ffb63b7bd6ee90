"""What the bot says of reminders, scheduled questions and digests, in English and Chinese."""

from __future__ import annotations

REMINDER_PHRASES: dict[str, tuple[str, str]] = {
    # What is asked back
    "when_missing": (
        "When? Write the time first or last: “tomorrow at 9 send the report”, “every Monday at "
        "9:30 stand-up”, “in 10 minutes tea”.",
        "什么时候？请把时间写在最前或最后，例如“明天上午9点交周报”“每周一9:30 站会”"
        "“10分钟后 喝水”。",
    ),
    "when_unclear": (
        "I don't understand “{given}” as a time. Write it like “tomorrow at 9” or “every weekday "
        "at 9:30”.",
        "我不明白“{given}”是什么时间，请写成“明天上午9点”或“每个工作日9:30”的样子。",
    ),
    "when_apart": (
        "Is the day at the end part of the reminder, or of its time? Write day and time together: "
        "“tomorrow at 9 …”.",
        "末尾的日期是提醒的内容，还是提醒的时间？请把日期和时间写在一起，例如“明天上午9点……”。",
    ),
    "when_what_time": (
        "At what time? Write one like “at 9:30” or “at 3 pm”.",
        "几点？请写上时间，例如“上午9点半”或“15:00”。",
    ),
    "when_which_half": (
        "{one} or {other}? Write it like that, or with “am” or “pm”.",
        "是 {one} 还是 {other}？请这样写，或写明上午、下午。",
    ),
    "when_which_week": (
        "Which one do you mean, {one} or {other}? Write the date.",
        "您指的是 {one} 还是 {other}？请写出日期。",
    ),
    "when_which_day": (
        "On which day? Write “every Monday at 9”, “every month on the 1st at 9” or “on 3 March "
        "at 14:00”.",
        "哪一天？请写成“每周一上午9点”“每月1号上午9点”或“3月3日14:00”。",
    ),
    "when_slashes": (
        "“{given}” can be read in two ways: write “3 April” or “2027-04-03”.",
        "“{given}”有两种读法，请写成“4月3日”或“2027-04-03”。",
    ),
    "when_midnight": (
        "At which end of the day is that midnight? Write “at 00:00” with the date that then "
        "begins, or “at 23:59”.",
        "是一天开始还是结束时的零点？请写“00:00”和新的日期，或写“23:59”。",
    ),
    "when_no_time": (
        "“{given}” is no time of that part of the day: write it like 21:30.",
        "“{given}”不是这个时段的时间，请写成 21:30 这样。",
    ),
    "when_no_date": ("There is no such day: {given}.", "没有这一天：{given}。"),
    "when_number": ("“{given}” is no number that I understand.", "我不明白“{given}”是多少。"),
    "when_no_zone": (
        "I know no time zone “{given}”: write one like Europe/Berlin, Asia/Shanghai or UTC.",
        "没有名为“{given}”的时区，请写成 Asia/Shanghai、Europe/Berlin 或 UTC。",
    ),
    "when_month": (
        "Months differ in length: write the date, such as “on 3 March at 14:00”.",
        "每个月长短不同，请写出日期，例如“3月3日14:00”。",
    ),
    "when_too_often": (
        "At most every {minutes} minutes, please.",
        "最多每 {minutes} 分钟一次。",
    ),
    "when_past": ("That is over already: {time}.", "这个时间已经过去：{time}。"),
    "when_clocks": (
        "The clocks change in that night, and {time} isn't one time: take another.",
        "那天夜里时钟要调整，{time} 不是确定的时间，请换一个时间。",
    ),
    "when_long": (
        "That is too long: at most {limit} characters.",
        "内容太长，最多 {limit} 个字符。",
    ),
    # What is asked for, and what stands
    "reminder_shall_i": ("Shall I do this?", "要我这样做吗？"),
    "reminder_say": ("Post here, for everybody: “{text}”", "在这里发给所有人：“{text}”"),
    "reminder_say_direct": ("Remind you alone: “{text}”", "只提醒您一个人：“{text}”"),
    "reminder_ask": (
        "Answer here, for everybody: “{text}”",
        "在这里回答，所有人可见：“{text}”",
    ),
    "reminder_ask_direct": ("Answer you alone: “{text}”", "只回答您一个人：“{text}”"),
    "reminder_say_page": ("Remind on the page: “{text}”", "在页面上提醒：“{text}”"),
    "reminder_ask_page": ("Answer on the page: “{text}”", "在页面上回答：“{text}”"),
    "reminder_digest_page": (
        "List the documents that are new, on the page, if there are any",
        "有新文档时，在页面上列出",
    ),
    "reminder_digest": (
        "List the documents that are new, here, if there are any",
        "有新文档时，在这里列出",
    ),
    "reminder_often": ("{often}; next: {when}", "{often}；接下来：{when}"),
    "reminder_zone": ("Time zone: {zone}", "时区：{zone}"),
    "reminder_confirm": (
        "Nothing stands until you confirm it, within 15 minutes: with the button, or with the "
        "command `reminders confirm {id}`. If it isn't right, give it anew; `zone=…` names another "
        "time zone.",
        "请在 15 分钟内确认，确认后才会生效：按下按钮，或使用命令 `reminders 确认 {id}`。"
        "如果不对，请重新输入；用 `时区=…` 指定其他时区。",
    ),
    "reminder_once": ("#{id} · {time} ({zone}) · {what}", "#{id} · {time}（{zone}）· {what}"),
    "reminder_again": (
        "#{id} · {often}, next {time} ({zone}) · {what}",
        "#{id} · {often}，下次 {time}（{zone}）· {what}",
    ),
    "listed_say": ("“{text}”", "提醒“{text}”"),
    "listed_ask": ("the answer to “{text}”", "回答“{text}”"),
    "listed_digest": ("new documents", "新文档"),
    "listed_page": (", on the page", "，显示在页面上"),
    "listed_direct": (", for you alone", "，只给您一个人"),
    "reminder_stands": ("It stands: {line}", "已生效：{line}"),
    "reminder_cancelled": ("Cancelled: #{id}.", "已取消：#{id}。"),
    "reminder_unknown": (
        "There is no #{id} that you may change: it was cancelled, has waited too long to be "
        "confirmed, or is somebody else's.",
        "没有您可以更改的 #{id}：它已被取消、等待确认超时，或属于别人。",
    ),
    "reminder_over": (
        "Its time is over: ask for it anew.",
        "它的时间已过，请重新设置。",
    ),
    "reminder_empty": ("Say what I shall post, too.", "请同时说明要发送什么。"),
    "reminder_nowhere": (
        "This is posted in a channel of Slack or Discord, or on the page, which is switched off: "
        "ask for it there, or name the channel on the command line with --channel. The command "
        "`reminders` lists what stands here too.",
        "这会发到 Slack 或 Discord 的频道，或显示在页面上，而页面已关闭：请在频道中设置，"
        "或在命令行用 --channel 指定频道。在这里可以用 reminders 命令查看。",
    ),
    "reminder_forbidden": (
        "You may not post there, so I may not post there for you.",
        "您不能在那里发言，所以我也不能替您在那里发送。",
    ),
    "reminder_unsure": (
        "I can't find out just now whether you may post there: please try again in a minute, or "
        "in a channel or a direct message to me.",
        "现在无法确认您能否在那里发言，请过一分钟再试，或在频道中、在给我的私信中设置。",
    ),
    "reminder_too_many": (
        "You have as many as one person may have: cancel some first.",
        "您设置的提醒已达上限，请先取消一些。",
    ),
    "reminders_none": (
        "Nothing stands. Ask for something: “tomorrow at 9 send the report”.",
        "还没有提醒。可以这样设置：“明天上午9点交周报”。",
    ),
    "reminders_how": (
        "To cancel or confirm one, write its number: `reminders cancel 7`, `reminders confirm 7`.",
        "要取消或确认，请写上编号：`reminders 取消 7`、`reminders 确认 7`。",
    ),
    # Digests
    "digest_often": (
        "Say how often: “every Monday at 9”, “every weekday at 9:30”.",
        "请说明多久一次，例如“每周一上午9点”“每个工作日9:30”。",
    ),
    "digest_stands": (
        "There is one here already: {line}. `digest off` ends it.",
        "这里已经有了：{line}。用 `digest 关` 可以取消。",
    ),
    "digest_none": ("There is none here.", "这里没有订阅。"),
    "digest_others": (
        "Only who asked for it, or an admin, may end it.",
        "只有设置它的人或管理员可以取消。",
    ),
    "digest_new": ("**New documents** since {time}:", "{time}之后的**新文档**："),
    "digest_no_news": ("No new documents since {time}.", "{time}之后没有新文档。"),
    "digest_changed": ("{name} (a new version)", "{name}（新版本）"),
    # When it is due
    "due_says": ("**Reminder:** {text}", "**提醒：** {text}"),
    "due_asks": ("**Scheduled question:** {text}", "**定时提问：** {text}"),
    "due_late": (
        "(Late: this was due {time}, when I could not post.)",
        "（迟到：本应在 {time} 发送，当时无法发送。）",
    ),
    "due_revoked": (
        "I didn't post #{id}, “{text}”: you may not post in that channel any more. It is "
        "cancelled.",
        "#{id}“{text}”没有发送：您已不能在那个频道发言。它已被取消。",
    ),
}
