"""What the bot says while it works on a skill, in English and Chinese."""

from __future__ import annotations

SKILL_PHRASES: dict[str, tuple[str, str]] = {
    # A channel's settings
    "settings_are": ("Settings of this channel:", "此频道的设置："),
    "settings_how": (
        "Change one: `settings tone friendly`; who changed what: `settings history`.",
        "更改一项：`设置 语气 亲切`；查看更改记录：`设置 历史`。",
    ),
    "settings_or": (" (or {others})", "（或 {others}）"),
    "settings_changed": ("Changed:", "已更改："),
    "settings_same": ("That is how it is already.", "已经是这样了。"),
    "settings_history": ("Newest first:", "最近的更改："),
    "settings_no_history": ("Nothing was ever changed here.", "这里没有任何更改。"),
    "settings_change": (
        "{name}: {old} → {new} ({who}, {when})",
        "{name}：{old} → {new}（{who}，{when}）",
    ),
    "settings_unknown": (
        "“{given}” is no setting: say which one and what it shall be, of {known}.",
        "“{given}”不是设置项：请写明设置项和值，可用的有 {known}。",
    ),
    "settings_anyone": ("anyone", "任何人"),
    "settings_admins": ("admins", "管理员"),
    "settings_teach_less": (
        "A channel may only let fewer people teach than the bot's configuration does.",
        "频道的学习权限只能比机器人的配置更严格。",
    ),
    "settings_no_model": ("the usual one", "默认模型"),
    "settings_no_folders": ("all", "全部"),
    # Small talk
    "talk_thanks": ("You're welcome!", "不客气！"),
    "talk_hello": (
        "Hello! What would you like to know?",
        "你好！想了解什么？",
    ),
    "talk_bye": ("See you!", "再见！"),
    "talk_sorry": ("No problem.", "没关系。"),
    "talk_else": (
        "I'm better at your team's documents than at small talk: ask me about them, or see what "
        "else I can do with /help.",
        "闲聊我不太在行，团队的文档倒可以随便问；我还能做什么，请看 /help。",
    ),
    # Pages and APIs
    "choosing_tool": ("Looking for what can tell that …", "正在查找可以查询的接口……"),
    "asking_tool": ("{tool}: asking {address} …", "{tool}：正在查询 {address} ……"),
    "no_tools": (
        "No API is set up here: whoever runs the bot declares them under `tools` in config.yaml. "
        "Or name a page in the question: `lookup https://example.org/prices What does it cost?`",
        "这里没有设置接口，需要由机器人的管理者在 config.yaml 的 `tools` 中声明。"
        "也可以在问题中写出网页地址：`lookup https://example.org/prices 多少钱？`",
    ),
    "may_look_up": (
        "\n\nWith the command `lookup` I can ask elsewhere: {tools}.",
        "\n\n也可以用命令 `lookup` 到别处查询：{tools}。",
    ),
    "no_tool_fits": (
        "None of what I can look up here tells that. There is:{tools}",
        "这里可以查询的内容都不能回答这个问题。现有：{tools}",
    ),
    "tool_needs": (
        "{tool} needs to know {name}, and I can't use what the question says of it: {about}",
        "{tool} 需要知道 {name}，问题里没有可用的值：{about}",
    ),
    "tool_failed": (
        "{tool} gave no answer that I can use ({address}): {why}.",
        "{tool} 没有给出可用的回答（{address}）：{why}。",
    ),
    "tool_private": (
        "that address is inside a private network, and the tool isn't declared `private: true`",
        "这个地址在内部网络中，而这个工具没有声明 `private: true`",
    ),
    "tool_elsewhere": (
        "it leads to a host that isn't in the list of `tools.hosts`, or would take a header along",
        "它转到了 `tools.hosts` 以外的主机，或会带走请求头",
    ),
    "says_nothing": (
        "I find nothing about that in what {address} says.",
        "{address} 的内容没有提到这一点。",
    ),
    # Table questions
    "choosing_table": ("Looking for the table …", "正在查找表格……"),
    "writing_query": ("{table}: writing the query …", "{table}：正在编写查询……"),
    "querying": ("Computing …", "正在计算……"),
    "sheet_of": ("{document}, sheet “{sheet}”", "{document} 的工作表“{sheet}”"),
    "table_value": ("The answer is {value}.", "答案是 {value}。"),
    "table_list": ("{count}: {values}.", "共 {count}：{values}。"),
    "table_many": ("Found {count}:", "共找到 {count}："),
    "first_rows": ("the first {n} rows", "前 {n} 行"),
    "table_rests_on": (
        "Computed from {count} of {rows} of {table}.",
        "根据 {table} 的 {count} 行（共 {rows}）计算。",
    ),
    "table_computed": ("Computed from {table}, {rows}.", "根据 {table}（共 {rows}）计算。"),
    "table_totals": (
        " Rows that add up others ({n}) were left out.",
        "合计行（{n} 行）未计入。",
    ),
    "chart_about": ("A chart of {what}", "{what}的图表"),
    "table_no_tables": (
        "I find no sheet here that fits this question. Name one, or send a CSV or Excel file.",
        "我在这里找不到与问题相关的表格。请指明表格，或发送 CSV 或 Excel 文件。",
    ),
    "table_no_document": (
        "That document has no table that I can compute with: it takes CSV, Excel or ODS.",
        "这份文档中没有可以计算的表格：请使用 CSV、Excel 或 ODS 文件。",
    ),
    "table_unreadable": (
        "The sheet can't be read just now: it may have changed. Please ask again in a minute.",
        "现在无法读取这个表格：它可能刚刚有改动。请过一分钟再问。",
    ),
    "table_no_query": (
        "I can't put that question to {table}. Please name its columns.",
        "我无法用这个问题查询 {table}。请说明要用哪些列。",
    ),
    "table_failed": (
        "I can't compute that from {table}: the query doesn't fit it. Please name its columns.",
        "无法用 {table} 计算：查询与表格不符。请说明要用哪些列。",
    ),
    "table_slow": (
        "Computing that from {table} takes too long. Please ask more narrowly.",
        "用 {table} 计算所需时间太长，请把问题问得更具体。",
    ),
    "table_not_there": ("No column of {table} says that.", "{table} 中没有相关的列。"),
    "table_empty": (
        "No row of {table} fits that. This is what I looked for:",
        "{table} 中没有符合条件的行。我的查询是：",
    ),
    "read_partly": (
        "(This rests on {read} of {of} parts, spread evenly over the text.)",
        "（以上依据全文 {of} 个部分中均匀选取的 {read} 个。）",
    ),
    # Texts: what is lacking, what is being done, what came of it
    "no_brief": (
        "Say what I shall write: about what, for whom.",
        "请说明要写什么：内容是什么，写给谁。",
    ),
    "no_template": (
        "There is no template “{name}”. There are: {known}.",
        "没有名为“{name}”的模板。现有模板：{known}。",
    ),
    "no_facts": (
        "I find nothing about that in the documents, so I write nothing from them.",
        "我在文档中找不到相关内容，因此没有依据文档来写。",
    ),
    "no_text_given": (
        "Give me the text itself, or the name of a document.",
        "请给出文字内容，或文档名称。",
    ),
    "clearer": ("clearer and shorter", "更清楚、更简短"),
    "no_fields": (
        'Say what to look for: fields="name, due date", or a JSON Schema. ({detail})',
        "请说明要提取什么：fields=“姓名，截止日期”，或一个 JSON Schema。（{detail}）",
    ),
    "extracting": ("Reading {name} …", "正在阅读{name}……"),
    "extracted_from": ("{name}:", "{name}："),
    "extracted_more": ("The file has the others.", "其余见文件。"),
    "extracted_file": ("extracted", "提取结果"),
    "not_extracted": (
        "the model wrote nothing that fits: name fewer fields, or simpler ones",
        "模型没有写出符合要求的内容：请减少字段，或换成更简单的字段",
    ),
    "not_verbatim": (" (not in the text word for word)", "（原文没有这样的字句）"),
    "value": ("value", "值"),
    "column_document": ("document", "文档"),
    "column_unsure": ("not in the text", "原文未见"),
    "name_several": (
        "Name at least two documents, with a semicolon between them.",
        "请至少写出两份文档，用分号隔开。",
    ),
    "since_unclear": (
        "“{given}” is no time that I understand: write 2h, 3d, yesterday, Monday or 2026-11-20.",
        "我不明白“{given}”是什么时间，请写成 2小时、3天、昨天、周一 或 2026-11-20。",
    ),
    "no_channel": (
        "There is nothing here that I may read back for you: use this in a channel of Slack or "
        "Discord whose history you may read.",
        "这里没有我能替你回顾的内容，请在你可以查看历史消息的 Slack 或 Discord 频道中使用。",
    ),
    "not_in_channel": (
        "I can't read what was said here: invite me, and let me read the channel's history.",
        "我读不到这里的消息，请邀请我加入，并允许我读取频道历史。",
    ),
    "nothing_said": ("Nothing was said here since then.", "从那时起这里没有人说过话。"),
}
