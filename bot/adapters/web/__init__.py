"""The web page."""

from bot.adapters.web.server import PasswordMissing, PortTaken, WebAdapter, WebError
from bot.adapters.web.talk import to_request

__all__ = ["PasswordMissing", "PortTaken", "WebAdapter", "WebError", "to_request"]
