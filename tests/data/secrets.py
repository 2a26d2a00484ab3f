"""Texts with secrets, of each kind, and harmless texts: what tests/data/masks.py has to distinguish.

The secrets are put together here, so that no scanner takes them for real ones.
"""

from typing import NamedTuple

LETTERS = "abcDEF0123456789abcDEF0123456789abcDEF01"
HEX = "0123456789abcdef" * 4
DASHES = "-" * 5


class Secret(NamedTuple):
    """A text of some kind, and what of it must not be seen."""

    kind: str
    text: str
    hidden: str


def _whole(kind: str, *texts: str) -> list[Secret]:
    return [Secret(kind, text, text) for text in texts]


def _keyed(hidden: str, *forms: str) -> list[Secret]:
    return [Secret(form.split("{}")[0].strip(), form.replace("{}", hidden), hidden) for form in forms]


def _key_file(label: str, *, lines: str = "", end: bool = True) -> str:
    ending = f"\n{DASHES}END {label}{DASHES}" if end else ""
    return f"{DASHES}BEGIN {label}{DASHES}\n{lines}MIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSj/AgE+AAo{ending}"


# Known by themselves.
SECRETS = [
    *_whole("OpenAI", "sk-" + LETTERS, "sk-proj-" + LETTERS, "sk-proj-" + "abcdefghijklmnopqrstuvwx", "sk-" + HEX[:32]),
    *_whole("Anthropic", "sk-ant-" + "api03-" + LETTERS, "sk-ant-" + "oat01-" + "aB-c_d" * 5),
    *_whole("Langfuse", "sk-lf-" + "01234567-89ab-cdef-0123-456789abcdef"),
    *_whole("OpenRouter", "sk-or-" + "v1-" + HEX),
    *_whole("LiteLLM", "sk-" + "aB3dEfGh_jKlMn-pQrStUv"),
    *_whole("LangSmith", "lsv2_" + "pt_" + HEX[:32] + "_0123456789", "lsv2_" + "sk_" + HEX[:32]),
    *_whole("Hugging Face", "hf_" + LETTERS[:34]),
    *_whole("Groq", "gsk_" + LETTERS),
    *_whole("xAI", "xai-" + LETTERS * 2),
    *_whole("Perplexity", "pplx-" + LETTERS),
    *_whole("NVIDIA", "nvapi-" + LETTERS[:20] + "_-" + LETTERS),
    *_whole("Cerebras", "csk-" + LETTERS),
    *_whole("Replicate", "r8_" + LETTERS[:37]),
    *_whole("Tavily", "tvly-" + "dev-" + LETTERS[:32]),
    *_whole("Pinecone", "pcsk_" + LETTERS[:6] + "_" + LETTERS),
    *_whole("Google", "AIza" + LETTERS[:35], "AIza" + LETTERS[:34] + "-"),
    *_whole("Google OAuth", "GOCSPX-" + LETTERS[:28], "ya29." + "a0" + LETTERS),
    *_whole("AWS key id", "AKIA" + "IOSFODNN7EXAMPLE", "ASIA" + "IOSFODNN7EXAMPLE"),
    *_whole("GitHub", *(f"gh{letter}_" + LETTERS[:36] for letter in "oprsu"), "github_" + "pat_11AAAA_" + LETTERS),
    *_whole("GitLab", "glpat-" + LETTERS[:16] + "-_.1"),
    *_whole("Slack", "xoxb-" + "123456789012-" + LETTERS[:24], "xapp-" + "1-A0123-456-" + LETTERS),
    *_whole("Slack webhook", "hooks.slack.com/" + "services/T00000000/B00000000/" + LETTERS[:24]),
    *_whole("Stripe", *(f"{kind}_{mode}_" + LETTERS[:24] for kind in ("sk", "rk") for mode in ("live", "test"))),
    *_whole("Stripe webhook", "whsec_" + LETTERS[:32]),
    *_whole("npm", "npm_" + LETTERS[:36]),
    *_whole("PyPI", "pypi-" + "AgEIcHlwaS5vcmc" + LETTERS),
    *_whole("SendGrid", "SG." + LETTERS[:22] + "." + LETTERS),
    *_whole("Databricks", "dapi" + HEX[:32]),
    *_whole("Vault", "hvs." + LETTERS[:24]),
    *_whole("JSON web token", f"eyJ{LETTERS}.eyJ{LETTERS}.{LETTERS}-_"),
    *_keyed(LETTERS, "Bearer {}", "bearer {}", "BEARER  {}"),
    *_keyed("abc123def456", "Bearer {}", "Authorization: Bearer {}"),
    *_keyed("s3cr3t-t0ken", "Bearer {}", "Authorization: Bearer {}"),
    *_keyed("dXNlcjpwYXNz", "Basic {}", "basic {}", "Authorization: Basic {}"),
    *_keyed("YWRtaW46YWRtaW4=", "Basic {}", "BASIC {}"),
    *_whole("private key", _key_file("PRIVATE KEY"), _key_file("EC PRIVATE KEY"), _key_file("OPENSSH PRIVATE KEY")),
    *_whole("encrypted key", _key_file("RSA PRIVATE KEY", lines="DEK-Info: AES-128-CBC,00-11\n\n")),
    *_whole("key of PGP", _key_file("PGP PRIVATE KEY BLOCK")),
    *_whole("private key, cut", _key_file("PRIVATE KEY", end=False)),
    *_keyed("p4ss:wörd&x", "postgresql://ada:{}@db.example.com:5432/runs", "mongodb+srv://ada:{}@db.example.com"),
    *_keyed("hunter", "redis://:{}@cache:6379/0", "amqp://ada:{}@mq", "mysql+pymysql://root:{}@127.0.0.1/x?y=z"),
]

# Known by the key before them.
KEYED_SECRETS = [
    *_keyed("short", "Authorization: Bearer {}", 'curl -H "authorization: bearer {}"'),
    *_keyed(
        "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
        "aws_secret_access_key = {}",
        "AWS_SECRET_ACCESS_KEY={}",
        "export AWS_SECRET_ACCESS_KEY='{}'",
        '{"SecretAccessKey": "{}"}',
        "{'aws_secret_access_key': '{}'}",
    ),
    *_keyed(
        "hunter22",
        "password={}",
        "DB_PASSWORD={}",
        "password: {}",
        "client_secret={}&x=y",
        "SECRET_KEY={}",
        "https://api.example.com/v1?api_key={}&x=y",
        "OPENAI_API_KEY={}",
        'OPENAI_API_KEY="{}"',
        "X-Api-Key: {}",
        "serve --api-key={} --port=80",
        "private_key={}",
        "PRIVATE_KEY={}",
        "AccountName=ada;AccountKey={};x=y",
        '{"password": "{}"}',
        '{"clientSecret":"{}"}',
        '{"openaiApiKey" : "{}", "n": 1}',
        '{"Authorization": "{}"}',
        '{"private_key": "{}"}',
        '{"access_token": "{}", "expires_in": 3600}',
        "{'api_key': '{}', 'n': 1}",
    ),
    *_keyed("a1b2c3d4e5f6", "token={}", "GITLAB_TOKEN={}", "token: {}", '{"token": "{}"}', "accessToken: '{}'"),
]

HARMLESS = [
    "",
    "sk-learn-contrib-random-forest-classifier-of-trees",
    "sk-SK-Chirp3-HD-Achernar",
    "task-1234567890-1234567890-1234567890",
    "task-0123456789abcdef0123456789abcdef",
    "a risk-assessment-of-internationalization",
    "task_test_internationalization",
    "Bearer internationalization",
    "bearer of OAuth2.0 tokens, by RFC6750",
    "a basic understanding of bearer tokens",
    "Basic authentication, Basic JavaScript, basic internationalization",
    "forgot_password=true",
    "/login?forgot_password=true&next=/home",
    "forgot_password: yes",
    '{"forgot_password": true, "api_key": null, "token": 5}',
    '{"token": "internationalization", "logprob": -0.1}',
    '{"eos_token": "</s>", "max_tokens": 4096}',
    "token: 4096, tokens: 128000, total_tokens=1234567890, token_count=12",
    "password = getpass(), api_key=os.environ['KEY'], secret: str, token=tokenizer.encode(text)",
    "api_key=settings.providers.openai",
    "the password: at least 8 letters",
    "the password:\nno8letters, the token =\n0123456789012",
    "the secret: 1 cup of sugar",
    "write to ada@example.com, see https://example.com:8080/@ada and ssh://git@example.com:22/x",
    "2026-11-27T13:17:34Z 0123456789abcdef0123456789abcdef 01234567-89ab-cdef-0123-456789abcdef",
    "commit 0123456789abcdef0123456789abcdef01234567",
    DASHES + "BEGIN CERTIFICATE" + DASHES + "\nMIIEvQ\n" + DASHES + "END CERTIFICATE" + DASHES,
    "C:\\new\\table\\readme, caf\u00e9 \U0001f600, {}[]<>&'\"",
]

SECRET_KEYS = [
    "api_key",
    "langchain.metadata.openai_api_key",
    "anthropicApiKey",
    "http.request.header.authorization",
    "http.request.header.x-api-key",
    "http.request.header.proxy-authorization",
    "db.password",
    "userPassword",
    "session.cookie",
    "access_token",
    "accessToken",
    "token",
    "langchain.metadata.token",
    "secret",
    "client_secret",
    "clientSecret",
    "secret_key",
    "private_key",
    "privateKey",
    "aws_secret_access_key",
    "credentials",
]
HARMLESS_KEYS = [
    "gen_ai.token.type",
    "gen_ai.usage.input_tokens",
    "langchain.subtree.output_tokens",
    "gen_ai.request.max_tokens",
    "max_token_count",
    "cookie_count",
    "secretary",
    "tokenizer",
    "primary_key",
    "public_key",
    "cache_key",
    "monkey",
]
