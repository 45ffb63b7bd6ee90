"""The web page."""

from bot.adapters.web.server import PasswordMissing, PortTaken, WebAdapter, WebError
from bot.adapters.web.talk import to_request
from bot.adapters.web.view import Work

__all__ = ["PasswordMissing", "PortTaken", "WebAdapter", "WebError", "Work", "to_request"]
