"""Spans as requests that are small enough for their receiver."""
