"""Talks: platforms in, replies out."""
