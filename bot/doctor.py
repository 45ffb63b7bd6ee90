"""`teamglm doctor`: every part checked, each with what to do about it."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from langchain_core.messages import HumanMessage
from pydantic import SecretStr

from bot.adapters.local import ADDRESS_FILE, running_bot
from bot.adapters.slack.scopes import missing
from bot.app import opened
from bot.data_folder import DataFolder
from bot.messages import PlatformError
from bot.model_settings import ServerModel
from bot.models import cache_of, chat_model, list_models, model_settings
from bot.settings import Settings, SettingsError
from rag.errors import TeamglmError
from rag.ingest.sandbox import Sandbox

_LEAST_FREE = 1_000_000_000
_SMOKE_TOKENS = 16

Check = Callable[[Settings], Awaitable[str]]


class CheckFailed(Exception):
    """What is wrong, and what to do."""


async def examine(settings: Settings) -> dict[str, Any]:
    """Return `{ok, checks: [{name, ok, detail}]}`; nothing is changed."""
    checks = []
    for name, check in _CHECKS.items():
        try:
            detail, ok = await check(settings), True
        except (CheckFailed, PlatformError, TeamglmError, SettingsError, OSError) as error:
            detail, ok = str(error), False
        checks.append({"name": name, "ok": ok, "detail": detail})
    return {"ok": all(check["ok"] for check in checks), "checks": checks}


async def _config(settings: Settings) -> str:
    return f"chat model {settings.chat_model}, embedding model {settings.embedding_model}"


async def _disk(settings: Settings) -> str:
    DataFolder(settings.data).database()
    free = shutil.disk_usage(settings.data).free
    if free < _LEAST_FREE:
        raise CheckFailed(f"only {free / 1e6:,.0f} MB free at {settings.data}: make room")
    if not os.access(settings.data, os.W_OK):
        raise CheckFailed(f"{settings.data} can't be written: correct its permissions")
    return f"{free / 1e9:,.0f} GB free at {settings.data}"


async def _folders(settings: Settings) -> str:
    missing = [str(folder.path) for folder in settings.folders if not folder.path.is_dir()]
    if missing:
        raise CheckFailed(f"not there: {', '.join(missing)}; create them or correct `folders`")
    return ", ".join(f"{folder.path} ({folder.scope})" for folder in settings.folders) or "none"


async def _models(settings: Settings) -> str:
    rows = [row for row in list_models(settings) if row["used"]]
    missing = [row["name"] for row in rows if not row["ready"]]
    if missing:
        raise CheckFailed(
            f"missing: {', '.join(missing)}; run `teamglm models pull` or correct their paths"
        )
    return f"in {cache_of(settings)}: {', '.join(row['name'] for row in rows)}"


async def _chat(settings: Settings) -> str:
    name = settings.chat_model
    served = isinstance(model_settings(settings, name), ServerModel)
    if not served and running_bot(settings.data / ADDRESS_FILE) is not None:
        return f"{name}, open in the bot that is running"
    chat = chat_model(settings)
    try:
        await asyncio.to_thread(chat.load)
        began = time.monotonic()
        async with asyncio.timeout(settings.answers.timeout_seconds):
            greeting = chat.astream([HumanMessage("Hello!")], max_tokens=_SMOKE_TOKENS)
            said = "".join([piece.text async for piece in greeting])
        took = time.monotonic() - began
        # Its words are nobody's: only that there are some is told.
        tokens = await asyncio.to_thread(chat.get_num_tokens, said)
        if not tokens:
            raise CheckFailed(f"{name} says nothing when it is greeted: is it a chat model?")
        where = await asyncio.to_thread(chat.describe)
    except TimeoutError as error:
        seconds = settings.answers.timeout_seconds
        raise CheckFailed(
            f"{name} didn't write {_SMOKE_TOKENS} tokens within {seconds:g} seconds: choose a "
            "smaller one as chat_model"
        ) from error
    finally:
        await asyncio.to_thread(chat.close)
    return f"{name} {where}; it wrote {tokens} tokens in {took:.1f} s"


async def _parsers(settings: Settings) -> str:
    layers = await asyncio.to_thread(Sandbox().layers)
    if not layers:
        raise CheckFailed("no parser starts: repair the Python environment (make clean, make run)")
    sight = f"pictures are read by {settings.ocr_model}" if settings.ocr_model else "no pictures"
    return f"in processes of their own: {'; '.join(layers)}; {sight}"


async def _store(settings: Settings) -> str:
    if running_bot(settings.data / ADDRESS_FILE) is not None:
        return "open in the bot that is running"
    async with opened(settings) as app:
        await app.knowledge.ready()
        rows = await asyncio.to_thread(app.library.index.ids)
        return f"{len(rows)} passages"


async def _slack(settings: Settings) -> str:
    secrets = settings.secrets
    bot, app, signing = (
        secrets.slack_bot_token,
        secrets.slack_app_token,
        secrets.slack_signing_secret,
    )
    if bot is None and app is None and signing is None:
        return "off: SLACK_BOT_TOKEN and SLACK_APP_TOKEN are not set"
    if bot is None or (app is None and signing is None):
        raise CheckFailed(
            "needs both SLACK_BOT_TOKEN and SLACK_APP_TOKEN (or SLACK_SIGNING_SECRET)"
        )
    api = settings.slack.api_url.rstrip("/")
    answer, headers = await _fetched("POST", f"{api}/auth.test", f"Bearer {_shown(bot)}")
    if not answer.get("ok"):
        raise CheckFailed(f"Slack refuses the bot token ({answer.get('error')}): install it anew")
    if "x-oauth-scopes" in headers and (lacks := missing(headers["x-oauth-scopes"].split(","))):
        raise CheckFailed(
            f"{answer.get('user')} in {answer.get('team')} lacks permissions: {'; '.join(lacks)}. "
            "Add them under OAuth & Permissions, or paste manifest.yaml again, and reinstall it"
        )
    over = f"over HTTP at {settings.slack.host}:{settings.slack.port}/slack/events"
    if app is not None:
        opened, _ = await _fetched("POST", f"{api}/apps.connections.open", f"Bearer {_shown(app)}")
        if not opened.get("ok"):
            raise CheckFailed(
                f"Slack refuses the app token ({opened.get('error')}): make one under Basic "
                "Information with the scope connections:write"
            )
        over = "over Socket Mode"
    return f"{answer.get('user')} in {answer.get('team')}, {over}"


def _shown(secret: SecretStr) -> str:
    return secret.get_secret_value()


async def _discord(settings: Settings) -> str:
    token = settings.secrets.discord_bot_token
    if token is None:
        return "off: DISCORD_BOT_TOKEN is not set"
    from bot.adapters.discord.check import check

    chosen = settings.discord
    ok, detail = await check(
        token.get_secret_value(), chosen.api_url, message_content=chosen.message_content
    )
    if not ok:
        raise CheckFailed(detail)
    return detail


async def _fetch(method: str, address: str, authorization: str) -> dict[str, Any]:
    return (await _fetched(method, address, authorization))[0]


async def _fetched(
    method: str, address: str, authorization: str
) -> tuple[dict[str, Any], Mapping[str, str]]:
    headers = {"Authorization": authorization}
    timeout = aiohttp.ClientTimeout(total=10)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, address, headers=headers, allow_redirects=False) as response,
        ):
            found, told = await response.json(content_type=None), response.headers
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise CheckFailed(f"{address} does not answer: check the network") from error
    return found if isinstance(found, dict) else {}, told


_CHECKS: dict[str, Check] = {
    "config": _config,
    "disk": _disk,
    "folders": _folders,
    "models": _models,
    "chat model": _chat,
    "parsers": _parsers,
    "store": _store,
    "slack": _slack,
    "discord": _discord,
}
