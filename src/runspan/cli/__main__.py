"""``runspan`` on the command line, and ``python -m runspan.cli``."""

import gc
import io
import sys
from typing import Final

_OBJECTS_BEFORE_COLLECTING: Final = 200_000


def main() -> None:
    """Run the command; without the extra ``cli``, say what to install."""
    try:
        from runspan.cli.commands import app  # noqa: PLC0415  typer and rich are an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        sys.exit(f"The command runspan needs {error.name}. Install it: pip install 'runspan[cli]'")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a pipe on Windows is no UTF-8
            stream.reconfigure(errors="replace")
    # A large trace is millions of objects, none of them garbage; looking for it takes longer than reading the trace.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTING)
    app()


if __name__ == "__main__":
    main()
