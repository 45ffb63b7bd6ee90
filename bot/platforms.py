"""The adapters that the settings switch on, over the parts that the composition root made."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from bot.adapters.console import ConsoleAdapter
from bot.adapters.web import WebAdapter, Work
from bot.app import App
from bot.handlers.working import working
from bot.messages import Download, Language
from rag.audience import PUBLIC
from rag.ingest.activity import Activity


def platforms(
    app: App, downloads: dict[str, Download], say: Callable[[str], None]
) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """Make every adapter that the settings switch on; return what runs them."""
    settings, handle, forbids = app.settings, app.dispatcher.handle, app.dispatcher.forbids
    secrets = settings.secrets
    runs: list[Callable[[], Coroutine[Any, Any, None]]] = []
    if settings.web.enabled:
        password = secrets.web_password
        web = WebAdapter(
            handle,
            app.inbox,
            host=settings.web.host,
            port=settings.web.port,
            password=password.get_secret_value() if password else None,
            upload_scope=settings.web.upload_scope,
            upload_folder=settings.data / "uploads",
            max_upload_bytes=settings.limits.upload_megabytes << 20,
            examples=settings.web.examples,
            ready=app.still_loading,
            work=partial(work, app.library.activity),
            history_turns=settings.answers.history,
            say=say,
        )
        downloads["web"] = web.download
        app.later.postings["web"] = web
        runs.append(lambda: web.run(lambda address: say(f"The page is at {address}")))
    if settings.console:
        runs.append(
            ConsoleAdapter(handle, scope=PUBLIC, history_turns=settings.answers.history).run
        )
    if secrets.slack_bot_token and (secrets.slack_app_token or secrets.slack_signing_secret):
        from bot.adapters.slack.adapter import SlackAdapter
        from bot.adapters.slack.work import Habits

        app_token, signed = secrets.slack_app_token, secrets.slack_signing_secret
        slack = SlackAdapter(
            handle,
            app.inbox,
            bot_token=secrets.slack_bot_token.get_secret_value(),
            fetch=app.fetcher.fetch,
            forbids=forbids,
            app_token=app_token.get_secret_value() if app_token else None,
            signing_secret=signed.get_secret_value() if signed else None,
            host=settings.slack.host,
            port=settings.slack.port,
            api_url=settings.slack.api_url,
            streaming=settings.slack.streaming,
            habits=Habits(
                follow_ups=settings.slack.follow_ups,
                keep_files=settings.slack.keep_files,
                prompts=settings.web.examples[:3],
            ),
            listening=lambda port: say(f"Slack's events are received on port {port}"),
        )
        downloads["slack"] = slack.download
        app.later.postings["slack"] = slack
        runs.append(slack.run)
    if secrets.discord_bot_token:
        from bot.adapters.discord.adapter import DiscordAdapter
        from bot.adapters.discord.bot import Manners

        discord = DiscordAdapter(
            handle,
            app.inbox,
            token=secrets.discord_bot_token.get_secret_value(),
            fetch=app.fetcher.fetch,
            forbids=forbids,
            api_url=settings.discord.api_url,
            gateway_url=settings.discord.gateway_url,
            message_content=settings.discord.message_content,
            manners=Manners(
                follow_ups=settings.discord.follow_ups,
                forum_posts=settings.discord.forum_posts,
                keep_files=settings.discord.keep_files == "always",
            ),
        )
        downloads["discord"] = discord.download
        app.later.postings["discord"] = discord
        runs.append(discord.run)
    return runs


def work(activity: Activity, language: Language) -> Work | None:
    """Return what the page shows of long work; None if there is none and nothing is paused."""
    now = activity.now()
    if now is None:
        return Work(paused=True) if activity.paused else None
    return Work(working(activity, language) or "", now.share, now.paused)
