"""`python -m tests.transcripts.skills` writes docs/skills.md anew: each skill, once.

The command line asks a running bot about the handbook in `knowledge/`; the model is scripted. What
the page says of table questions was written with the embedded model, and stays.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bot.adapters.local import ADDRESS_FILE, LocalApi
from bot.app import App, opened
from bot.models import embedding_model
from bot.render import plain
from bot.router import Router, examples
from bot.routing import Routing
from bot.settings import load_settings
from tests.bot.fakes import FakeChat, FakeEmbeddings, collect, request, use
from tests.doubles.site import Site, tools
from tests.doubles.site import serving as serving_site

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "skills.md"
HEAD = """# Skills

What the bot does besides answering questions. Every skill is a command: `/NAME` on Discord and on
the page, `/glm NAME` on Slack, `teamglm NAME` on the command line. What it takes can be filled in
where the platform has forms, or typed as `name=value`: `/glm summarise handbook.pdf length=short`;
names and values work in Chinese too: `/总结 手册.pdf 篇幅=短`. Answers stream, can be stopped, and
cite what they rest on; what a model adds isn't cited.

The transcripts below are made by `python -m tests.transcripts.skills`: the command line, over the
handbook in `knowledge/`. What the chat model says is scripted; everything around it is the bot's.
What Slack and Discord show is in [transcripts.md](transcripts.md). `/help` lists the commands.
"""
TRAIN = (
    "A release leaves every second Tuesday at 11:00 Xiamen time. "
    "What isn't merged by the code freeze waits for the next train."
)
BILLING = {
    "service": "billing",
    "state": "degraded",
    "since": "09:40",
    "because": "card payments time out",
}
SAY, REDO = "says", "presses"
"""Instead of a verb: somebody says something, or presses the button below its answer."""
LEARNED = ("release-process.html", "on-call.csv", "使用指南.md")
SECTIONS: tuple[tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = (
    (
        "Summaries",
        "A document, a web page, a file or a thread, `short`, `medium` or `long`, in the language "
        "asked for. A long text is read part by part, and notes of the parts become the summary; "
        "`answers.summary_parts` says how many parts are read, and the answer says when there were "
        "more. What the text doesn't say isn't shown.",
        (
            (TRAIN, ("summarise", "release-process.html", "--length", "short")),
            (
                "用中文提问就用中文回答，用英文提问就用英文回答。每个回答都注明出处。",
                ("summarise", "使用指南.md", "--length", "short", "--language", "zh"),
            ),
        ),
    ),
    (
        "Comparing",
        "Two documents or more: what they share, and where they differ.",
        (
            (
                "The person on call rolls back without asking anybody.",
                ("compare", "release-process.html", "on-call.csv", "--length", "short"),
            ),
        ),
    ),
    (
        "What did I miss",
        "`/glm missed 2h` on Slack and `/missed` on Discord sum up what was said in the channel "
        "since then, threads too, for the person alone: `2h`, `3d`, `yesterday`, `Monday`, "
        "`2026-11-20`, `昨天`, `3天`. At most the newest thousand messages are read. "
        "[transcripts.md](transcripts.md) shows one.",
        (),
    ),
    (
        "Writing",
        "After a template: `outline`, `announcement`, `email`, `report`, or a file of the team's "
        "own in the folder that `templates` names in config.yaml (`NAME.md`, `NAME.zh.md`). With "
        "`facts=documents`, it rests on passages of the team's documents, and nothing is written "
        "where there are none.",
        (
            (
                "Dear all,\n\nA release leaves every second Tuesday at 11:00 Xiamen time.\n\n"
                "Thanks!",
                (
                    *("write", "when a release leaves"),
                    *("--template", "email", "--facts", "documents"),
                ),
            ),
        ),
    ),
    (
        "Rewriting",
        "A text, a document or a file, as somebody wants it.",
        (
            (
                "Please close the window in the evening.",
                (
                    *("rewrite", "Could you all please close the window in the evening?"),
                    *("--how", "shorter"),
                ),
            ),
        ),
    ),
    (
        "Translating",
        "Between English and Chinese, passage by passage; of a document, each passage cites the "
        "one that it translates.",
        (
            (
                "代码冻结在周四 17:00。",
                ("translate", "The code freeze is on Thursday at 17:00.", "--language", "zh"),
            ),
        ),
    ),
    (
        "Extraction",
        "Named fields, or a JSON Schema, out of documents, files or a whole folder; several come "
        "back as one CSV or XLSX. Each value is looked up in the text: the sentence that has it is "
        "cited, and a value that the text doesn't have word for word is marked. Out of a thread "
        "too, each value with who said it and when: `/extract` in a thread on Discord, the link of "
        "a message of the channel with `/glm extract` on Slack; `summarise` takes both as well.",
        (
            (
                '{"release captain": "Aylin Demir", "code freeze": "2026-01-08", '
                '"coverage": "85 %"}',
                (
                    *("extract", "release-process.html"),
                    *("--fields", "release captain, code freeze, coverage"),
                ),
            ),
        ),
    ),
    (
        "Pages and APIs",
        "A question about a web page that it names, or one that a read-only HTTP API can answer: "
        "`tools` in config.yaml declares which there are, with the hosts that may be asked, and as "
        "shipped there are none. The chat model chooses one and takes its values from the "
        "question; `tool=NAME` names it. A question that the documents can't answer is refused "
        "with the names of the tools. The answer is proven by what came back and cites the address "
        "that was asked. The embedded model chose the right tool with the right values for 18 of "
        "20 questions, and one for each of 9 that none can answer ([bench](../bench/README.md)): "
        "the status says which address is asked. Here `health` asks a server of this machine.",
        (
            (
                "Billing is degraded since 09:40 because card payments time out.",
                ("lookup", "How is billing doing?"),
            ),
            ("", ("lookup", "How is billing doing?", "--tool", "weather")),
        ),
    ),
    (
        "Reminders, scheduled questions and digests",
        "`/glm remind` on Slack and `/remind` on Discord post something later where they are "
        "given, or to you alone (“remind me …”): a text, or the answer to a question, found "
        "anew each time. Say when in words, first or last: “in 10 minutes”, “tomorrow at 9”, "
        "“every weekday at 9:30”, “on 3 March at 14:00”, “the last day of every month at 5 "
        "pm”, “每周一上午9点”, “明天下午三点”, “每月1号10点”, “半小时后”. It is asked back "
        "what could mean two times. The times are yours: Slack tells your time zone, "
        "elsewhere it is `timezone` of config.yaml, and `zone=…` or a name in the text says "
        "otherwise. Nothing stands before you confirm it, with the button or as below. A "
        "question about a sheet that the bot knows is computed from its rows. `digest on`, or "
        "`digest every Monday at 9`, lists a channel's new documents, and is silent when "
        "there are none. What fell due while the bot wasn't running comes once, and says that "
        "it is late. On the command line `--channel` names the channel. What is asked for on the "
        "page, or in a terminal without a channel, stands above the page's question box in every "
        "tab from when it is due until somebody puts it away.",
        (
            (
                "",
                (
                    *("remind", "every Monday at 9 post who is on call this week?"),
                    *("--zone", "Europe/Amsterdam", "--channel", "slack:-:T0TEAM:C0GENERAL"),
                ),
            ),
            ("", ("reminders", "confirm", "1")),
            (
                "",
                (
                    *("remind", "每月最后一天下午5点提醒大家交报销单", "--zone", "Asia/Shanghai"),
                    *("--channel", "discord:8001:9002"),
                ),
            ),
            (
                "",
                (
                    *("remind", "tomorrow at 3 call the printer"),
                    *("--channel", "slack:-:T0TEAM:C0GENERAL"),
                ),
            ),
            ("", ("reminders",)),
            ("", ("reminders", "cancel", "1")),
        ),
    ),
    (
        "Plain messages",
        "What is said to the bot without a command gets the skill that it asks for: a summary of "
        "the document, page or thread that it names, or of what was missed in the channel; a table "
        "question, where there is a sheet; a reminder; a word of small talk. All else is a "
        "question: to the web page that it names, if it names one, as by `lookup`, else to the "
        "documents. What was taken for something else has a button *Answer as a question* on "
        "Slack, Discord and the page; in a terminal, `/ask` is one. `answers.choose_skills: false` "
        "switches this off. [bench](../bench/README.md) says how often it is right. Here the "
        "embedded model tells what is wanted.",
        (
            (TRAIN, (SAY, "can you sum up release-process.html for me?")),
            (TRAIN, (REDO, "can you sum up release-process.html for me?")),
            ("", (SAY, "remind us every Friday at 4 pm to water the plants")),
            ("", (SAY, "thanks, that helped a lot!")),
            ("", (SAY, "哈哈，谢谢你啦")),
        ),
    ),
    (
        "A channel's settings",
        "Each channel, direct message and the page have settings of their own: the language of "
        "answers, their tone, the chat model (of those under `channel_models` in config.yaml), the "
        "watched folders that answer, and who may teach. `/glm settings` on Slack shows them, with "
        "a form behind *Change…*; `/settings` on Discord and on the page does, with choices and a "
        "form. `permissions.settings` says who may change them: admins, unless it says otherwise, "
        "and anybody in a direct message of their own. `settings history` says who changed what "
        "and when.",
        (
            ("", ("settings",)),
            ("", ("settings", "tone", "friendly", "--channel", "slack:-:T0TEAM:C0GENERAL")),
            ("", ("settings", "语言", "中文", "--channel", "slack:-:T0TEAM:C0GENERAL")),
            ("", ("settings", "history", "--channel", "slack:-:T0TEAM:C0GENERAL")),
            ("", ("settings", "model", "no-such-model")),
        ),
    ),
    (
        "What the bot knows of itself",
        "Asked what it can do, which documents it knows or which model it is, in English or "
        "Chinese, it answers from what is so; the chat model isn't asked.",
        (
            ("", ("ask", "Which documents do you know?")),
            ("", ("ask", "你是什么模型？")),
        ),
    ),
)


async def main() -> None:
    """Have a running bot do every example from the command line, and write the page."""
    parts = [HEAD]
    chat = FakeChat(fills={"tool": "health", "service": "billing"})
    site = Site()
    site.says(json.dumps(BILLING))
    asked = serving_site(site, 8123)
    await anext(asked)
    with TemporaryDirectory(prefix="teamglm-") as data, pytest.MonkeyPatch.context() as patch:
        use(patch, chat=chat, embeddings=FakeEmbeddings())
        changes = ["answers.refuse_below=0", "ocr_model=null", f"tools={json.dumps(tools(site))}"]
        settings = load_settings(ROOT / "config.yaml", changes=changes, data=Path(data))
        async with opened(settings) as app:
            local = LocalApi(app.dispatcher.handle, settings.data / ADDRESS_FILE)
            serving = asyncio.create_task(local.run())
            for name in LEARNED:
                await _ran(data, ("index", f"knowledge/{name}"))
            await _route(app, Path(data))
            for title, about, examples in SECTIONS:
                parts.append(f"## {title}\n\n{textwrap.fill(about, 100)}\n")
                for says, arguments in examples:
                    chat.answer = says
                    if arguments[0] in (SAY, REDO):
                        parts.append(await _told(app, *arguments))
                        continue
                    said = await _ran(data, arguments)
                    parts.append(f"```console\n$ teamglm {shlex.join(arguments)}\n{said}\n```\n")
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
    await asked.aclose()
    _, tables, kept = DOCUMENT.read_text(encoding="utf-8").partition("## Table questions")
    DOCUMENT.write_text("\n".join([*parts, tables + kept]), encoding="utf-8")


async def _route(app: App, folder: Path) -> None:
    """Have the real embedding model tell what plain messages want."""
    model = embedding_model(load_settings(ROOT / "config.yaml", environment={}))
    await asyncio.to_thread(model.load)
    routing = Routing(
        Router(model.embed_queries, examples()),
        folder / "real.npz",
        key=lambda: model.key,
        named=app._named,
        has_tables=app.tables.has_any,
    )
    await routing.ready()
    app.dispatcher._route = routing


async def _told(app: App, does: str, text: str) -> str:
    """Return a plain message with its answer, or the answer to it as a question."""
    here = "slack:-:T0TEAM:C0GENERAL"
    audience = frozenset({"public", here})
    asked = request(text, plain=does == SAY, scope=here, audience=audience, user="ann")
    _, reply = await collect(app.dispatcher.handle(asked))
    shown = plain(reply) + ("\n[Answer as a question]" if reply.taken_for else "")
    head = f"ann: @TeamGLM {text}" if does == SAY else "ann presses “Answer as a question”"
    return f"```text\n{head}\n\nTeamGLM: {shown}\n```\n"


async def _ran(data: str, arguments: tuple[str, ...]) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", "--data", data, *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return "\n".join(line.rstrip() for line in (out or err).decode().strip().splitlines())


if __name__ == "__main__":
    asyncio.run(main())
