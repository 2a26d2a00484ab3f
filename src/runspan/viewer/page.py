"""A page that shows traces: one file that loads nothing, and in which nothing of a trace can run."""

import base64
import gzip
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Final

import orjson

from runspan.recording.otlp_json import otlp_line
from runspan.recording.recorded_span import RecordedSpan
from runspan.viewer.media import embed_media
from runspan.viewer.trace import traces_of

_SCRIPTS: Final = (
    "vendor/marked.umd.js",
    "dom.js",
    "content.js",
    "list.js",
    "tree.js",
    "detail.js",
    "graph.js",
    "text.js",
    "main.js",
)


def static_page(spans: Sequence[RecordedSpan]) -> str:
    """Return a page with the traces of spans in it, and with the spans themselves, packed, to be downloaded."""
    traces = orjson.dumps(list(map(embed_media, traces_of(spans)))).decode()
    packed = gzip.compress(b"".join(map(otlp_line, spans)), mtime=0)
    data = [
        f'<script type="application/json" id="traces">{_inert(traces)}</script>',
        f'<script type="text/plain" id="otlp">{base64.b64encode(packed).decode()}</script>',
    ]
    return _page(data, connects="'none'")


def live_page() -> str:
    """Return the page that asks its server for traces."""
    return _page([], connects="'self'")


def _page(data: Iterable[str], *, connects: str) -> str:
    sources = files("runspan.viewer") / "page"
    style = (sources / "style.css").read_text("utf-8")
    scripts = [(sources / name).read_text("utf-8") for name in _SCRIPTS]
    parts = {
        "policy": _policy(style, scripts, connects),
        "style": style,
        "scripts": "\n".join([*data, *(f"<script>{script}</script>" for script in scripts)]),
    }
    page = (sources / "page.html").read_text("utf-8")
    head, *rest = page.split("{{")
    return head + "".join(parts[name] + after for name, after in (part.split("}}", 1) for part in rest))


def _policy(style: str, scripts: Sequence[str], connects: str) -> str:
    """Return a policy by which these scripts alone may run; media are those within the page."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {_hash(style)}",
            f"connect-src {connects}",
            "img-src data:",
            "media-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inert(json: str) -> str:
    """Return JSON that can't end the element that it stands in."""
    return json.replace("<", "\\u003c")
