"""What the tests of the local server ask it."""

# One that the SDK does not warn about; the server takes any that begins with "claude".
MODEL = "claude-opus-5"
SUM = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "What is 1 + 2?"}]}
NO_CACHE = {
    "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "inference_geo": "global",
    "service_tier": "standard",
}
# Longer than any test may last: who waits for it fails.
FOREVER_S = 3600
