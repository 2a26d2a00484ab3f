"""Delivers what earlier processes left in a spool, and prints whether that worked; argument: the spool."""

import sys

import runspan

with runspan.configure(service_name="only delivers", spool=sys.argv[1]) as handle:
    print(handle.force_flush(60), handle.stats())
