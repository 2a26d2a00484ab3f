"""What a secret looks like: one list, for the redactor and for the Collector, in `collector-config/base.yaml`.

The patterns mean the same in RE2 and, with `re.ASCII`, in Python. Examples are in tests/data/secrets.py.

Almost all begin with letters of their own: RE2 finds those ten to a hundred times faster than a class or a word's
beginning. The latter also misses what follows the escaped newline of a JSON text, which ends in a letter.
"""

from typing import Final

_BASE64_OF_ASCII: Final = "[I-Za-f][C-HS-Xi-ny-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/]"  # each 3 letters
_BASIC: Final = f" +(?:(?:{_BASE64_OF_ASCII}){{2,}}(?:[A-Za-z0-9+/]{{2,3}}=|{_BASE64_OF_ASCII})|[A-Za-z0-9+/]{{24,}})=*"
# A word is none: there must be a figure, or 24 letters.
_BEARER: Final = (
    " +(?:[A-Za-z._~+/-]*[0-9][A-Za-z0-9._~+/-]{6,}|[A-Za-z._~+/-]{7,}[0-9][A-Za-z0-9._~+/-]*|[A-Za-z0-9._~+/-]{24,})=*"
)
# `sk-` alone is the end of many words, and the beginning of sk-learn.
_SK: Final = (
    "sk-(?:(?:admin|ant|helicone|lf|or|proj|svcacct)-[A-Za-z0-9_-]{16,}"
    "|[A-Za-z0-9]{20,}[A-Za-z0-9_-]*|[a-z]{0,4}[A-Z0-9][A-Za-z0-9]{5,}[A-Za-z0-9_-]{12,})"
)
_PEM_END: Final = "-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"

# What is a secret wherever it stands; all of the match is masked.
VALUES: Final = [
    (r"\\+(?:[bfnrt]|u[0-9a-fA-F]{4})" + _SK, "OpenAI, Anthropic, Langfuse, OpenRouter and others, after an escape"),
    ("_" + _SK, "the same in Markdown's italics"),
    (r"\b" + _SK, "the same elsewhere"),
    ("lsv2_(?:pt|sk)_[A-Za-z0-9_]{20,}", "LangSmith"),
    ("hf_[A-Za-z0-9]{30,}", "Hugging Face"),
    ("gsk_[A-Za-z0-9]{20,}", "Groq"),
    ("xai-[A-Za-z0-9]{20,}", "xAI"),
    ("pplx-[A-Za-z0-9]{20,}", "Perplexity"),
    ("nvapi-[A-Za-z0-9_-]{20,}", "NVIDIA"),
    ("csk-[A-Za-z0-9]{20,}", "Cerebras"),
    ("r8_[A-Za-z0-9]{30,}", "Replicate"),
    ("tvly-[A-Za-z0-9-]{20,}", "Tavily"),
    ("pcsk_[A-Za-z0-9_]{20,}", "Pinecone"),
    (r"AIza[A-Za-z0-9_-]{34}(?:[A-Za-z0-9_](?:\b|_)|-)", "Google"),
    ("GOCSPX-[A-Za-z0-9_-]{20,}", "Google OAuth client"),
    (r"ya29\.[A-Za-z0-9_-]{20,}", "Google OAuth token"),
    (r"A[KS]IA[A-Z0-9]{16}(?:\b|_)", "AWS key id"),
    ("gh[oprsu]_[A-Za-z0-9]{36,}", "GitHub"),
    ("github_pat_[A-Za-z0-9_]{22,}", "GitHub, fine-grained"),
    ("glpat-[A-Za-z0-9_.-]{20,}", "GitLab"),
    ("xox[abeoprs]-[A-Za-z0-9-]{10,}", "Slack"),
    ("xapp-[A-Za-z0-9-]{20,}", "Slack app"),
    (r"hooks\.slack\.com\\*/services(?:\\*/[A-Za-z0-9]+){3}", "Slack webhook"),
    ("sk_(?:live|test)_[A-Za-z0-9]{24,}", "Stripe"),
    ("rk_(?:live|test)_[A-Za-z0-9]{24,}", "Stripe, restricted"),
    ("whsec_[A-Za-z0-9+/]{24,}=*", "Stripe webhook"),
    ("npm_[A-Za-z0-9]{36}", "npm"),
    ("pypi-[A-Za-z0-9_-]{50,}", "PyPI"),
    (r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", "SendGrid"),
    ("dapi[0-9a-f]{32}", "Databricks"),
    (r"hvs\.[A-Za-z0-9_-]{20,}", "Vault"),
    (r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", "JSON web tokens"),
    *((word + _BEARER, "") for word in ("Bearer", "bearer", "BEARER")),
    *((word + _BASIC, "") for word in ("Basic", "basic", "BASIC")),
    (
        rf"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?:[^\x22]*?{_PEM_END}|(?:[A-Za-z0-9+/=\s]|\\+[nr/])*)",
        "private keys, cut ones too",
    ),
    (
        r":(?:\\*/){2}[^\s:/?#@\x22\x27\\<>]*:(?:[^\s/\x22\x27\\<>]|\\+u[0-9a-fA-F]{4})+@",
        "URLs with a password, from the :// to the @",
    ),
]

# Keys within texts: the first group stays.
_NAME: Final = (
    r"[\w.-]*(?i:(?:api|private|secret|access|account|signing|encryption|subscription)[._-]?key"
    r"|authorization|password|passwd|passphrase|secret|credentials?|cookie|connection[._-]?string"
    r"|(?:access|api|auth|bearer|bot|id|oauth|refresh|security|session|user)[._-]?token)"
)
_IS: Final = r"(?:\\*[\x22\x27])?[ \t]*[:=][ \t]*(?:\\*[\x22\x27])?"
_VALUE: Final = r"[!#-%*+./:=?@\w^~-]"
# As for Bearer: there must be a figure, or 20 letters without a dot between.
_LOOKS_SECRET: Final = f"(?:{_VALUE}*[0-9]{_VALUE}{{4,}}|{_VALUE}{{4,}}[0-9]{_VALUE}*|[A-Za-z0-9+/=-]{{20,}})"
_LOOKS_A_TOKEN: Final = f"(?:{_VALUE}*[0-9]{_VALUE}{{9,}}|{_VALUE}{{9,}}[0-9]{_VALUE}*)"
WITHIN: Final = [
    (rf"(\x22{_NAME}\x22\s*:\s*\x22)(?:[^\x22\\]|\\.)+", "JSON"),
    (
        rf"(\\\x22{_NAME}\\\x22\s*:\s*\\\x22)(?:[^\x22\\]|\\[^\x22\\]|\\\\(?:[^\x22\\]|\\\\|\\\x22))+",
        "JSON within JSON",
    ),
    (
        rf"(\\{{3,}}\x22{_NAME}\\{{3,}}\x22\s*:\s*\\{{3,}}\x22)(?:[^\x22\\]|\\+[^\x22\\])+",
        "deeper still, up to a quotation mark within",
    ),
    (rf"(\x27{_NAME}\x27\s*:\s*\x27)[^\x27\\]+", "a dict of Python as text"),
    (rf"(uthorization{_IS}(?i:basic|bearer|bot|digest|token) +){_VALUE}+", "HTTP"),
    *(
        (f"({stem}{_IS}){_LOOKS_SECRET}", "")
        for stem in (
            "assw(?:or)?d",
            "ASSW(?:OR)?D",
            "ecret(?i:[_-]?access)?(?i:[_-]?key)?",
            "ECRET(?:_?ACCESS)?(?:_?KEY)?",
            "pi[_-]?(?i:key)",
            "PI[_-]?(?i:KEY)",
            "rivate[_-]?(?i:key)",
            "RIVATE_?KEY",
            "cc(?:ess|ount)[_-]?(?i:key)",
        )
    ),
    *((f"({stem}{_IS}){_LOOKS_A_TOKEN}", "") for stem in ("oken", "OKEN")),
]
