# One place for every chore. Everything installs into .venv; the system's Python is only asked to make it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help
help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12
