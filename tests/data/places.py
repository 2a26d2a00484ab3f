"""Where a text can stand within a text, and in what form: what a mask must not depend on."""

import json

SURROUNDINGS = [
    "{}",
    "my key is {} ok",
    "my key:\n{}\nok",
    "my key:\r\n\t{}\tok",
    "({}), {}.",
    '"{}"',
    "'{}'",
    "_{}_ **{}** `{}`",
    "caf\u00e9 \u00e9{}",
    "<{}>",
    "a\\{}",
]


def _messages(text: str) -> str:
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])


def _arguments(text: str) -> str:
    return json.dumps({"text": text, "lines": ["\n", text]}, ensure_ascii=False, separators=(",", ":"))


FORMS = {
    "text": str,
    "JSON": _messages,
    "compact JSON": _arguments,
    "JSON in JSON": lambda text: _messages(_arguments(text)),
    "JSON in JSON in JSON": lambda text: _arguments(_messages(_arguments(text))),
}


def placed(text: str) -> list[str]:
    """Return the text in all surroundings and forms."""
    return [write(around.replace("{}", text)) for around in SURROUNDINGS for write in FORMS.values()]


def remains(secret: str, text: str) -> list[str]:
    """Return the pieces of a secret that can be read in a text."""
    length = min(6, len(secret))
    pieces = {secret[at : at + length] for at in range(len(secret) - length + 1)}
    return sorted(piece for piece in pieces if piece in text)
