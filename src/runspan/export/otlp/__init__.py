"""Encoded requests over HTTP or gRPC, and what the receiver answers."""
