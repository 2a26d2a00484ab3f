"""A trace in the terminal: a tree with bars, for a width and with or without colours."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from runspan.processors.console import duration_text, printable
from runspan.viewer.spans import ViewedSpan
from runspan.viewer.timeline import scale
from runspan.viewer.trace import ViewedTrace, summary_of

_STYLES = {
    "model": "magenta",
    "tool": "green",
    "retriever": "yellow",
    "embeddings": "yellow",
    "agent": "blue",
    "graph": "blue",
}
_OUTCOMES = {"cancelled": "⊘", "abandoned": "⇥", "interrupted": "‖", "handed_off": "⇢"}
_SAID = (("question", "?", "bold"), ("answer", "=", ""))
_INLINE_MARKS = re.compile(r"[*`]+")
_BLOCK_MARKS = re.compile(r"(?<!\S)(?:#+|\||-{3,})(?!\S)")
_NARROWEST_WITH_BARS = 70
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LONGEST_ERROR = 200


def print_trace(console: Console, trace: ViewedTrace) -> None:
    """Print a trace: what was asked and answered, its spans as a tree, its errors."""
    errors = Table.grid(padding=(0, 1))
    for span in trace.spans:
        if span.error is not None:
            errors.add_row(Text("✕", style="red"), Text(_error(span), style="red"))
    parts = (_head(summary_of(trace)), _tree(trace, console.width), *((errors,) if errors.rows else ()))
    console.print(Group(*parts, Text("")))


def print_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the lines of a trace in a list."""
    console.print(_head(summary))


def _head(summary: Mapping[str, Any]) -> RenderableType:
    total, errors = summary["total"], summary["total"].get("errors")
    facts = [
        ", ".join(summary["models"]),
        f"{tokens(total)} tokens" if tokens(total) else "",
        cost(total.get("cost"), summary["currency"]),
        f"✕ {errors} error{'s' * (errors > 1)}" if errors else "",
        f"session {summary['session']}" if summary["session"] else "",
        f"user {summary['user']}" if summary["user"] else "",
    ]
    took = "running" if summary["is_open"] else length(summary["duration"])
    lines = [
        Text(f"trace {summary['id']}  {summary['began'].replace('T', ' ')[:19]}  {took}", style="dim"),
        *(
            Text(f"{sign} {printable(_unmarked(summary[name]))}", style=style)
            for name, sign, style in _SAID
            if summary[name]
        ),
        Text("  ".join(printable(each) for each in facts if each), style="dim"),
    ]
    return Group(*(_one_line(line) for line in lines))


def _unmarked(text: str) -> str:
    """Return a line of a text without the marks of Markdown."""
    return " ".join(_BLOCK_MARKS.sub(" ", _INLINE_MARKS.sub("", text)).split())


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _tree(trace: ViewedTrace, width: int) -> Table:
    has_bars = width >= _NARROWEST_WITH_BARS
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    bar_width = max(width // 5, 12)
    if has_bars:
        table.add_column(width=bar_width, no_wrap=True)
    at = scale(trace.gaps, trace.duration)
    for span, gutter in zip(trace.spans, _gutters(trace.spans), strict=True):
        counts = span.usage if span.kind == "model" else {}
        cells: list[RenderableType] = [
            _title(span, gutter),
            Text(tokens(counts)),
            Text("running" if span.end is None else length(span.end - span.start)),
        ]
        if has_bars:
            begin, end = at(span.start), at(trace.duration if span.end is None else span.end)
            cells.append(Text(bar(begin, end, bar_width), style=_style(span)))
        table.add_row(*cells)
    return table


def _title(span: ViewedSpan, gutter: str) -> Text:
    text = Text(gutter, style="dim")
    text.append(f"{span.kind} ", style=_style(span))
    text.append(printable(span.label), style="bold" if span.kind == "model" else "")
    if span.model and span.model not in span.name:
        text.append(f"  {printable(span.model)}", style="dim")
    if span.first_chunk is not None:
        text.append(f"  first chunk {length(span.first_chunk * 1000)}", style="dim")
    if span.attempt is not None and span.attempt > 1:
        text.append(f"  ↻ attempt {span.attempt}", style="yellow")
    if span.outcome and span.outcome != "error":
        text.append(f"  {_OUTCOMES.get(span.outcome, '•')} {printable(span.outcome)}", style="yellow")
    if span.error is not None:
        text.append("  ✕ error", style="bold red")
    return text


def _error(span: ViewedSpan) -> str:
    message = " ".join((span.error or "").split())[:_LONGEST_ERROR]
    named = message if message.startswith(span.error_type) else f"{span.error_type}: {message}".removesuffix(": ")
    return printable(f"{span.label}: {named}".removesuffix(": "))


def _style(span: ViewedSpan) -> str:
    return "red" if span.error is not None else _STYLES.get(span.kind, "")


def _gutters(spans: list[ViewedSpan]) -> Iterator[str]:
    """Yield the lines that lead to each span of a tree."""
    last_child: dict[int | None, int] = {span.parent: index for index, span in enumerate(spans)}
    below: dict[int | None, str] = {}
    for index, span in enumerate(spans):
        if span.parent is None:
            below[index] = ""
            yield ""
            continue
        is_last = last_child[span.parent] == index
        below[index] = below[span.parent] + ("   " if is_last else "│  ")
        yield below[span.parent] + ("└─ " if is_last else "├─ ")


def bar(begin: float, end: float, width: int) -> str:
    """Return a bar from one fraction of the width to another, to an eighth of a character at its end."""
    first = min(int(begin * width), width - 1)
    eighths = max(round(end * width * 8) - first * 8, 1)
    full, rest = divmod(eighths, 8)
    return " " * first + ("█" * full + _EIGHTHS[rest].strip())[: width - first]


def length(milliseconds: float) -> str:
    """Return how long something took, to three digits."""
    seconds = milliseconds / 1000
    return duration_text(seconds) if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"  # noqa: PLR2004


def tokens(counts: dict[str, int] | dict[str, float]) -> str:
    """Return tokens in and out; nothing if none are known."""
    if "input" not in counts and "output" not in counts:
        return ""
    return f"{int(counts.get('input', 0)):,} → {int(counts.get('output', 0)):,}"


def cost(amount: float | None, currency: str) -> str:
    """Return what was paid, to four digits behind the point, or six if that is little."""
    if amount is None:
        return ""
    digits = 6 if 0 < abs(amount) < 0.01 else 4  # noqa: PLR2004  a cent
    return f"${amount:.{digits}f}" if currency in ("", "USD") else f"{amount:.{digits}f} {currency}"
