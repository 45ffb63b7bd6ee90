"""Answers and learns; knows no platform."""
