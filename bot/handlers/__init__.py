"""Capabilities: one file each, all of them listed in `bot.app`."""
