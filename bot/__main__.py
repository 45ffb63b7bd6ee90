"""The command line: `teamglm VERB`, for people and for other programs."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from bot.adapters.console import Screen, save
from bot.adapters.local import ADDRESS_FILE, RemoteBot, running_bot
from bot.commands import COMMANDS
from bot.logs import install
from bot.messages import AttachmentError, PlatformError, Reply, Request, Turn
from bot.settings import Settings, SettingsError, load_settings
from bot.verbs import declare, given
from rag.audience import PUBLIC, Audience, InvalidScope, check_scope
from rag.errors import TeamglmError

log = logging.getLogger(__name__)

_ADDRESS = ("http://", "https://")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; exit 0, or 1 with one sentence on stderr."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code."""
    options = _parser().parse_args(arguments)
    formatter = install(running=options.verb == "run")
    try:
        settings = load_settings(options.config, changes=options.set, data=options.data)
        formatter.secrets = settings.secrets.values()
        return int(options.act(settings, options))
    except (SettingsError, InvalidScope, TeamglmError, AttachmentError, PlatformError) as error:
        return _print(Reply("error", str(error), "en"), getattr(options, "json", False))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    except Exception:
        log.critical("%s ended in an error of its own", options.verb, exc_info=True)
        sentence = "TeamGLM ended in an error of its own: please report what the log says above."
        return _print(Reply("error", sentence, "en"), getattr(options, "json", False))
    return 1


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one sentence, as every other error."""

    def error(self, message: str) -> NoReturn:
        """Exit 1 with the sentence on stderr."""
        self.exit(1, f"{message}; `{self.prog} --help` says what there is.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="teamglm", description="A chat bot that knows a team's documents.")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"))
    parser.add_argument("--data", type=Path, help="the data folder, instead of the config's")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change a setting"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, act: Any, about: str, *, as_json: bool = True) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.set_defaults(act=act)
        if as_json:
            added.add_argument("--json", action="store_true", help="print one JSON document")
        return added

    def scoped(added: argparse.ArgumentParser) -> None:
        added.add_argument("--channel", metavar="SCOPE", help="also see this channel's documents")

    running = verb("run", _run, "start the bot", as_json=False)
    running.add_argument("--pull", action="store_true", help="fetch missing models first")
    ask = verb("ask", _ask, "ask one question")
    ask.add_argument("question")
    ask.add_argument("--history", type=Path, help="earlier turns, a JSON list of {role, content}")
    scoped(ask)
    search = verb("search", _search, "find passages, without an answer")
    search.add_argument("query")
    search.add_argument("-k", type=int, default=5, metavar="N", help="how many")
    scoped(search)
    index = verb("index", _index, "bring the index up to date")
    index.add_argument("path", nargs="?", help="a file, a folder or a web address instead")
    index.add_argument("--rebuild", action="store_true", help="make the index anew")
    index.add_argument("--pause", action="store_true", help="let the running bot's reading wait")
    index.add_argument("--resume", action="store_true", help="let it go on")
    scoped(verb("sources", _sources, "list what is known"))
    forget = verb("forget", _forget, "delete a document")
    forget.add_argument("document", nargs="?", help="an id or a unique name")
    forget.add_argument("--user", metavar="ID", help="all that this person taught instead")
    scoped(forget)
    back_up = verb("backup", _backup, "write what is known to a file, also while the bot runs")
    back_up.add_argument("file", type=Path)
    restore = verb("restore", _restore, "bring back what a backup holds, also while the bot runs")
    restore.add_argument("file", type=Path)
    for command in COMMANDS:
        if command.verb:
            added = verb(command.name, _skill, command.about[0].lower())
            declare(added, command)
            scoped(added)
    evaluate = verb("eval", _eval, "measure retrieval and answers")
    evaluate.add_argument("--questions", type=Path, required=True, metavar="F.jsonl")
    evaluate.add_argument("--documents", type=Path, required=True, metavar="DIR")
    evaluate.add_argument("--retrieval-only", action="store_true")
    evaluate.add_argument("--limit", type=int)
    evaluate.add_argument("--seed", type=int, default=0)
    evaluate.add_argument("--results", type=Path, metavar="FILE", help="also keep every answer")
    setting = verb("calibrate", _calibrate, "set when to answer and when to refuse")
    setting.add_argument("--questions", type=Path, metavar="F.jsonl", help="instead of made ones")
    setting.add_argument("--documents", type=Path, metavar="DIR", help="what they are about")
    setting.add_argument("--wanted", type=float, help="share of false answers, not the config's")
    setting.add_argument("--retrieval-only", action="store_true", help="quicker, and less sure")
    setting.add_argument("--limit", type=int, default=40, help="how many passages or questions")
    setting.add_argument("--seed", type=int, default=0)
    verb("doctor", _doctor, "check every part")
    models = verbs.add_parser("models", help="list, fetch, convert or check models")
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="what the config names, and what is there")
    listing.set_defaults(act=_models_list)
    listing.add_argument("--json", action="store_true", help="print one JSON document")
    pull = actions.add_parser("pull", help="fetch the embedded models that the config names")
    pull.set_defaults(act=_models_pull)
    pull.add_argument("name", nargs="?", help="one embedded model instead")
    convert = actions.add_parser("convert", help="a ChatGLM folder as safetensors, for any server")
    convert.set_defaults(act=_models_convert)
    convert.add_argument("source", type=Path, help="the published folder, of .bin files too")
    convert.add_argument("target", type=Path, help="a new folder")
    convert.add_argument("--template", choices=["chatglm2", "chatglm3"], help="if it can't be told")
    quantise = actions.add_parser("quantise", help="a ChatGLM folder with int4 or int8 weights")
    quantise.set_defaults(act=_models_quantise)
    quantise.add_argument("source", type=Path, help="a folder of safetensors")
    quantise.add_argument("target", type=Path, help="a new folder")
    quantise.add_argument("--bits", type=int, choices=[4, 8], default=4)
    check = actions.add_parser("check", help="compare a checkpoint with what its original computed")
    check.set_defaults(act=_models_check)
    check.add_argument("folder", type=Path, help="with logits.npz and reference.json")
    check.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _run(settings: Settings, options: argparse.Namespace) -> int:
    gc.disable()  # until all is loaded: looking through it meanwhile takes a fifth of the start
    from bot.serving import serve

    if options.pull:
        _pull(settings, None)
    try:
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(serve(settings, say=lambda text: print(text, file=sys.stderr, flush=True)))
    finally:
        gc.enable()
    return 0


def _ask(settings: Settings, options: argparse.Namespace) -> int:
    history = _history(options.history) if options.history else None
    request = _request("ask", options.question, options.channel, history=history)
    return _dispatched(settings, request, options, stream=True)


def _search(settings: Settings, options: argparse.Namespace) -> int:
    request = _request("search", options.query, options.channel, options={"k": options.k})
    return _dispatched(settings, request, options)


def _index(settings: Settings, options: argparse.Namespace) -> int:
    if options.path and options.path.startswith(_ADDRESS):
        return _dispatched(settings, _request("learn", options.path, None), options)
    if options.path and not os.path.exists(options.path):  # noqa: PTH110 - never raises
        raise TeamglmError(f"There is no file or folder {options.path}: correct the path.")
    values = {"rebuild": options.rebuild}
    if options.pause or options.resume:
        if running_bot(settings.data / ADDRESS_FILE) is None:
            raise TeamglmError("No bot is running on this data folder: there is nothing to pause.")
        values = {"pause": options.pause, "resume": options.resume}
    if options.path:
        values["path"] = str(Path(options.path).absolute())
    return _dispatched(settings, _request("index", "", None, options=values), options)


def _forget(settings: Settings, options: argparse.Namespace) -> int:
    if bool(options.document) == bool(options.user):
        raise TeamglmError("Name a document to forget, or a person with --user.")
    values = {"user": options.user} if options.user else {}
    request = _request("forget", options.document or "", options.channel, options=values)
    return _dispatched(settings, request, options)


def _backup(settings: Settings, options: argparse.Namespace) -> int:
    return _dispatched(settings, _request("backup", str(options.file.absolute()), None), options)


def _restore(settings: Settings, options: argparse.Namespace) -> int:
    return _dispatched(settings, _request("restore", str(options.file.absolute()), None), options)


def _skill(settings: Settings, options: argparse.Namespace) -> int:
    text, values, files = given(options)
    handler = options.command.handler
    request = _request(handler, text, options.channel, options=values, attachments=files)
    return _dispatched(settings, request, options, stream=True)


def _sources(settings: Settings, options: argparse.Namespace) -> int:
    from bot.app import known_sources

    reply = asyncio.run(known_sources(settings, _request("sources", "", options.channel)))
    return _print(reply, options.json)


def _eval(settings: Settings, options: argparse.Namespace) -> int:
    from bot.evaluation import evaluate

    report = asyncio.run(
        evaluate(
            settings,
            questions=options.questions,
            documents=options.documents,
            answers=not options.retrieval_only,
            limit=options.limit,
            seed=options.seed,
            results=options.results,
        )
    )
    print(json.dumps(report, ensure_ascii=False, indent=None if options.json else 2))
    return 0


def _calibrate(settings: Settings, options: argparse.Namespace) -> int:
    from bot.calibrating import as_table, set_calibration

    report = asyncio.run(
        set_calibration(
            settings,
            questions=options.questions,
            documents=options.documents,
            wanted=settings.answers.false_answers if options.wanted is None else options.wanted,
            answers=not options.retrieval_only,
            limit=options.limit,
            seed=options.seed,
        )
    )
    print(json.dumps(report, ensure_ascii=False) if options.json else as_table(report))
    return 0


def _doctor(settings: Settings, options: argparse.Namespace) -> int:
    from bot.doctor import examine

    report = asyncio.run(examine(settings))
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        for check in report["checks"]:
            print(f"{'ok  ' if check['ok'] else 'FAIL'} {check['name']}: {check['detail']}")
    return 0 if report["ok"] else 1


def _models_list(settings: Settings, options: argparse.Namespace) -> int:
    from bot.models import list_models

    rows = list_models(settings)
    if options.json:
        print(json.dumps(rows, ensure_ascii=False))
        return 0
    for row in rows:
        used = "*" if row["used"] else " "
        there = "ready" if row["ready"] else "missing"
        print(f"{used} {row['name']:24} {row['provider']:22} {there:8} {row['detail']}")
    return 0


def _models_pull(settings: Settings, options: argparse.Namespace) -> int:
    _pull(settings, options.name)
    return 0


def _pull(settings: Settings, name: str | None) -> None:
    from bot.models import pull_models

    pull_models(settings, name, say=lambda text: print(text, file=sys.stderr))


def _models_convert(settings: Settings, options: argparse.Namespace) -> int:
    from rag.models.convert import convert

    print(convert(options.source, options.target, generation=options.template))
    return 0


def _models_quantise(settings: Settings, options: argparse.Namespace) -> int:
    from rag.models.convert import quantise

    print(quantise(options.source, options.target, options.bits))
    return 0


def _models_check(settings: Settings, options: argparse.Namespace) -> int:
    from rag.models.check import check

    report = check(options.folder)
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name}: {value}")
    return 0 if report["ok"] else 1


def _request(command: str, text: str, channel: str | None, **more: Any) -> Request:
    scopes = {PUBLIC, check_scope(channel)} if channel else {PUBLIC}
    identity = uuid.uuid4().hex
    return Request(
        id=identity,
        platform="cli",
        command=command,
        text=text,
        user="cli",
        conversation=identity,
        scope=channel or PUBLIC,
        audience=frozenset(scopes),
        is_admin=True,
        **{"history": (), **{k: v for k, v in more.items() if v is not None}},
    )


def _history(file: Path) -> tuple[Turn, ...]:
    try:
        turns = json.loads(file.read_text(encoding="utf-8"))
        return tuple(Turn(turn["role"], str(turn["content"])) for turn in turns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TeamglmError(
            f"{file} is not a history: it needs a JSON list of objects with role and content."
        ) from error


def _dispatched(
    settings: Settings, request: Request, options: argparse.Namespace, *, stream: bool = False
) -> int:
    """Have the running bot handle a request, or a bot of our own if none runs."""
    screen = Screen(quiet=options.json, stream=stream)
    remote = running_bot(settings.data / ADDRESS_FILE)
    if remote is not None:
        reply = asyncio.run(_watched(remote, request, screen))
    else:
        reply = asyncio.run(_alone(settings, request, screen))
    for file in reply.files:
        print(save(file, getattr(options, "out", Path())), file=sys.stderr)
    if screen.streamed and reply.outcome == "answer":
        return 0
    return _print(reply, options.json)


async def _watched(remote: RemoteBot, request: Request, screen: Screen) -> Reply:
    return await screen.show(remote.handle(request))


async def _alone(settings: Settings, request: Request, screen: Screen) -> Reply:
    from bot.app import opened

    async with opened(settings) as app:
        if request.command in ("ask", "search") and request.text.strip():
            # Who asks before anything was ever read means the folders that the config names.
            audience = Audience.of(request.audience)
            if app.folders and not await asyncio.to_thread(app.records.knows_any, audience):
                await screen.show(app.dispatcher.handle(_request("index", "", None)))
        return await screen.show(app.dispatcher.handle(request))


def _print(reply: Reply, as_json: bool) -> int:
    from bot.render import plain

    failed = reply.outcome not in ("answer", "refusal")
    if as_json:
        print(json.dumps(_document(reply), ensure_ascii=False))
    if failed:
        print(reply.text, file=sys.stderr)
    elif not as_json:
        print(plain(reply))
    return int(failed)


def _document(reply: Reply) -> Any:
    """Return a reply as the JSON that its verb promises."""
    from bot.render import plain

    if reply.data is not None:
        return reply.data
    return {
        "outcome": reply.outcome,
        "text": plain(reply) if reply.nearest else reply.text,
        "language": reply.language,
        "model": reply.model,
        "citations": [asdict(citation) for citation in reply.citations],
        "timings_ms": dict(reply.timings_ms),
    }


if __name__ == "__main__":
    main()
