"""Platforms: each translates its events to a `Request` and delivers the reply."""
