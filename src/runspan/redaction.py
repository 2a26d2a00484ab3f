"""A redactor for what nobody wants in traces: keys, tokens, cards, e-mail addresses, telephone numbers."""

import re
from itertools import chain
from typing import Final

from runspan.secret_patterns import VALUES, WITHIN

_MASK: Final = "****"
_SECRETS: Final = [
    *((re.compile(pattern, re.ASCII), rf"\1{_MASK}") for pattern, _ in WITHIN),
    *((re.compile(pattern, re.ASCII), _MASK) for pattern, _ in VALUES),
    (re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b", re.ASCII), _MASK),
    # With a + and the country, or as in North America; any other number may be anything.
    (re.compile(r"(?<![\w+])\+[1-9](?:[ ./-]?\(?\d{1,4}\)?){2,6}\b", re.ASCII), _MASK),
    (re.compile(r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])", re.ASCII), _MASK),
]
_CARD: Final = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?!\w|\.\d)", re.ASCII)


def redact_secrets(text: str, attribute: str = "") -> str:  # noqa: ARG001  what redactors are given
    """Return a text with ``****`` in place of keys, tokens, passwords, cards, e-mail addresses and telephone numbers.

    They are recognised by their form; names, street addresses and the like are not. The Collector of this project masks
    keys, tokens and passwords by the same list.

    Args:
        text: any text.
        attribute: the name of the attribute it is for; the same is masked in all.

    Returns:
        The text, unchanged if there is nothing to mask in it.

    Example:
        ``Settings(redact=runspan.redact_secrets)``
    """
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return _CARD.sub(_masked_card, text)


def _masked_card(found: "re.Match[str]") -> str:
    """Mask a number whose last digit is the check digit of a card (Luhn)."""
    digits = [int(each) for each in found[0] if each.isdecimal()][::-1]
    doubled = chain.from_iterable(divmod(2 * digit, 10) for digit in digits[1::2])
    return found[0] if (sum(digits[::2]) + sum(doubled)) % 10 else _MASK
