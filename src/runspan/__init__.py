"""runspan."""
