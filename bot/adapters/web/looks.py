"""What the page looks like: its style, its fonts and the files beside this one."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr

_SANS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Noto Sans",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "WenQuanYi Micro Hei",
    "sans-serif",
)
_MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", "monospace")


def asset(name: str) -> str:
    """Return the text of a file that lies beside this one."""
    return files("bot.adapters.web").joinpath(name).read_text(encoding="utf-8")


def head() -> str:
    """Return what stands in the page's head: the style and the tab's memory."""
    return f"<style>{asset('page.css')}</style><script>{asset('head.js')}</script>"


def theme() -> gr.themes.Base:
    """Return a theme that needs no font from elsewhere."""
    return gr.themes.Base(
        font=[gr.themes.Font(name) for name in _SANS],
        font_mono=[gr.themes.Font(name) for name in _MONO],
    )
