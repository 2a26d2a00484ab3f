"""Folders of spools, and what they say of their losses."""

from collections import Counter

from runspan import Spool
from runspan.export.spool import SpoolFolder

RECEIVER = "http://collector:4318"


class Losses:
    """Keeps what a spool tells its log."""

    def __init__(self):
        self.lost = Counter()
        self.reasons = []

    def note(self, reason, spans):
        self.lost[str(reason)] += spans

    def spool_failed(self, reason):
        self.reasons.append(reason)


def folder(path, losses=None, **options):
    """Return the spool in a folder."""
    made = SpoolFolder(Spool(path, **options), RECEIVER)
    made.reset_after_fork(losses)
    return made


def bodies(spool):
    """Return what can be taken, and leave it."""
    found = []
    claims = list(spool.claims())
    for claim in claims:
        found.append(claim.request.body)
        spool.free(claim)
    return found
