"""Images, audio and video that a run put aside on this machine, to be shown within the page.

A trace may come from anybody, so it can't have any file shown: only those that are named as
``Settings.blob_store`` names them, and begin as a medium does.
"""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from runspan.payload.media_types import HEAD_BYTES, media_type
from runspan.viewer.trace import ViewedTrace

_NAME: Final = re.compile(r"[0-9a-f]{32}(\.\w{1,8})?")
_SHOWN: Final = ("image/", "audio/", "video/")
_MOST_BYTES: Final = 20_000_000


def embed_media(trace: ViewedTrace) -> ViewedTrace:
    """Give parts of messages that refer to a medium its data in base64, as ``embedded``, as far as there is room."""
    room = _MOST_BYTES
    for part in _references(trace):
        data = _stored(str(part["uri"]), room)
        if data is not None:
            part["mime_type"], part["embedded"] = media_type(data[:HEAD_BYTES]), base64.b64encode(data).decode()
            room -= len(data)
    return trace


def _references(trace: ViewedTrace) -> Iterator[dict[str, Any]]:
    for message in trace.messages:
        parts = message.get("parts") if isinstance(message, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and part.get("type") == "uri" and isinstance(part.get("uri"), str):
                yield part


def _stored(uri: str, room: int) -> bytes | None:
    """Return the data of a medium; None if that is none of this machine's, none at all, or too large."""
    try:
        url = urlsplit(uri)
        path = Path(unquote(url.path))
        if url.scheme != "file" or url.netloc not in ("", "localhost") or not _NAME.fullmatch(path.name):
            return None
        if not path.is_file() or path.stat().st_size > room:
            return None
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            is_shown = (media_type(head) or "").startswith(_SHOWN)
            return head + file.read(room) if is_shown else None
    except (OSError, ValueError):  # not there, not readable, no path, no address
        return None
