"""What `collector-config/base.yaml` masks: by its looks, as the redactor of the package, and by the key."""

from runspan.payload.structure import STRUCTURED
from runspan.secret_patterns import VALUES, WITHIN

__all__ = ["COMMAND_LINE", "KEYS", "NO_SECRETS", "STRUCTURED", "VALUES", "WITHIN"]

# Keys of attributes; all of the value is masked.
KEYS = [
    r"(?i)(?:api|private|secret|access|account|signing|encryption|subscription)[._-]?keys?$",
    r"(?i)(?:authorization|passwords?|passwd|passphrase|secrets?|credentials?|cookie|connection[._-]?string)$",
    r"(?i)(?:^|[._-])token$",
    r"[a-z0-9]Token$",
]
NO_SECRETS = "^(?i:true|false|null|none|)$"  # as values of such keys

# Lists and maps that are searched for keys, as JSON: a command line, and what content_form="structured" makes.
COMMAND_LINE = "process.command_args"  # of resources
