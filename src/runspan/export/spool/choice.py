import dataclasses
import os
from typing import Literal

from runspan.export.spool.files import Spool

Durability = Literal["on-failure", "write-ahead"]


def chosen_spool(spool: str | os.PathLike[str] | Spool | None, durability: Durability | None) -> Spool | None:
    """Return the spool that a user means by a path or a ``Spool``, with the durability named beside it.

    Raises:
        ValueError: The durability is unknown, or there is no spool for it.
    """
    if durability not in {None, "on-failure", "write-ahead"}:
        raise ValueError(f"durability is {durability!r}; it must be 'on-failure' or 'write-ahead'.")
    if spool is None:
        if durability is not None:
            raise ValueError(f"durability is {durability!r} without a spool; name a file: spool=PATH.")
        return None
    settings = spool if isinstance(spool, Spool) else Spool(spool)
    return settings if durability is None else dataclasses.replace(settings, durability=durability)
