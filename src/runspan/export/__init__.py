"""How ended spans leave the process."""
