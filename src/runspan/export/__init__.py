"""How ended spans leave the process; docs/design/delivery.md has the rules, and their reasons."""
