"""Requests on disk until they are delivered."""
