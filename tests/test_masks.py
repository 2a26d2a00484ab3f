"""The masks of collector-config/base.yaml, by Python's `re`; tests/e2e/test_masks.py has them in the real Collector."""

import json
import re
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compose_file import COLLECTOR_CONFIG, configuration
from tests.data.masks import COMMAND_LINE, KEYS, NO_SECRETS, STRUCTURED, VALUES, WITHIN
from tests.data.places import FORMS, placed, remains
from tests.data.secrets import HARMLESS, HARMLESS_KEYS, KEYED_SECRETS, SECRET_KEYS, SECRETS

PROCESSORS = configuration([COLLECTOR_CONFIG / "base.yaml"])["processors"]
REDACTION = PROCESSORS["redaction/secrets"]
GROUPS = PROCESSORS["transform/keys"]["trace_statements"]
REPLACE = re.compile(r'replace_all_patterns\(attributes, "value", ("(?:\\.|[^"\\])+"), "\$1\*{4}"\)')
VALID = sorted(set(FORMS) - {"text"})


def as_read(patterns):
    """Return patterns with `$$` as the `$` that the Collector reads."""
    return [pattern.replace("$$", "$") for pattern in patterns]


def masked(text):
    """Return what the patterns leave of a text."""
    text = reduce(lambda left, each: re.sub(each[0], r"\1****", left, flags=re.ASCII), WITHIN, text)
    return reduce(lambda left, each: re.sub(each[0], "****", left, flags=re.ASCII), VALUES, text)


def test_the_collector_has_the_patterns_of_the_table():
    """What base.yaml masks is what tests/data/masks.py lists, in its order; the last pattern is the user's own."""
    table = [pattern for pattern, _ in VALUES]
    assert as_read(REDACTION["blocked_values"][:-1]) == table, "base.yaml and secret_patterns.py need the same list"
    assert as_read(REDACTION["blocked_key_patterns"]) == KEYS
    assert as_read(REDACTION["allowed_values"]) == [NO_SECRETS]


def statements(context):
    """Return what is done in a context, before the redaction processor."""
    return [each for group in GROUPS if group["context"] == context for each in as_read(group["statements"])]


@pytest.mark.parametrize("context", ["resource", "scope", "span", "spanevent"])
def test_the_collector_looks_for_keys_within_texts_everywhere(context):
    """In each context that has attributes, what follows a key is masked by the patterns of the table."""
    patterns = [json.loads(found[1]) for each in statements(context) if (found := REPLACE.fullmatch(each))]
    assert patterns == [pattern for pattern, _ in WITHIN]


@pytest.mark.parametrize(
    ("context", "name"), [("resource", COMMAND_LINE), *(("span", name) for name in sorted(STRUCTURED))]
)
def test_the_collector_looks_for_keys_within_lists_and_maps(context, name):
    """An attribute that may be a list or a map is searched as JSON, which replaces it if something was found."""
    copy, own = f'{context}.attributes["lent.{name}"]', f'{context}.attributes["{name}"]'
    lend = f"set({copy}, String({own})) where {own} != nil and not IsString({own})"
    take = f"set({own}, {copy}) where {copy} != nil and {copy} != String({own})"
    done = [REPLACE.sub("mask", each) for each in statements(context)]
    assert done.index(lend) < done.index("mask") < done.index(take)


@pytest.mark.parametrize("secret", SECRETS + KEYED_SECRETS, ids=lambda secret: secret.kind)
def test_a_secret_is_masked_in_every_place_of_a_text(secret):
    """Nothing of a secret is left, at whatever place, in plain text as in JSON."""
    for text in placed(secret.text):
        assert remains(secret.hidden, text)
        assert remains(secret.hidden, masked(text)) == []


def test_a_password_may_have_quotation_marks():
    """In JSON, and in JSON within JSON, a value ends where JSON ends it."""
    text = json.dumps({"password": 'a"b\\c\\"d\n\u00e9"e', "n": 1})
    left = {"password": "****", "n": 1}
    assert json.loads(masked(text)) == left
    assert json.loads(json.loads(masked(json.dumps(text)))) == left


@pytest.mark.parametrize("form", VALID)
def test_what_is_masked_stays_json(form):
    """JSON can be read after a secret in it was masked, and masking once more changes nothing."""
    for secret in SECRETS + KEYED_SECRETS:
        left = masked(FORMS[form](f"see:\n{secret.text}\nok"))
        json.loads(left)
        assert "****" in left
        assert masked(left) == left


PIECES = st.sampled_from(
    [*(each.text for each in SECRETS + KEYED_SECRETS), *HARMLESS, "password", ":=", '"', "'", "\\", "\n"]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join), st.integers(1, 3))
def test_any_json_stays_json(text, depth):
    """Whatever stands beside secrets, and however often it was made JSON, the outermost JSON can be read."""
    for _ in range(depth):
        text = json.dumps({"password": text, "n": [text]})
    json.loads(masked(text))


@pytest.mark.parametrize("harmless", HARMLESS)
def test_a_harmless_text_is_left_whole_in_every_place(harmless):
    """What only looks like a secret stays as it is, at whatever place, in plain text as in JSON."""
    for text in placed(harmless):
        assert masked(text) == text


def is_secret(key):
    """Tell whether an attribute of that key is masked whole."""
    return any(re.search(pattern, key, re.ASCII) for pattern in KEYS)


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_keys_of_secrets_are_known_by_their_end(key):
    """The value of an attribute is masked whole if its key ends as keys of secrets do."""
    assert is_secret(key)


@pytest.mark.parametrize("key", HARMLESS_KEYS)
def test_other_keys_are_left_alone(key):
    """No count of tokens is a secret, nor is what only begins like one."""
    assert not is_secret(key)


@pytest.mark.parametrize("value", ["true", "False", "null", "None", ""])
def test_a_flag_is_no_secret(value):
    """`forgot_password=true` is left as it is, though `password` is the key of a secret."""
    assert re.search(NO_SECRETS, value)
    assert not re.search(NO_SECRETS, value + "1")
