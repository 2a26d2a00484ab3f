"""The table of private names is true."""

import importlib
import logging

import pytest

from runspan.signals import private_names
from runspan.signals.private_names import PRIVATE_NAMES, PrivateName


@pytest.mark.parametrize("private", PRIVATE_NAMES, ids=lambda private: private.name)
def test_upstream_has_not_moved(private):
    """Each name is there, under a module or name that is private, and has a reason."""
    assert hasattr(importlib.import_module(private.module), private.name)
    assert any(part.startswith("_") for part in (*private.module.split("."), private.name))
    assert private.reason.endswith(".")


@pytest.mark.parametrize("module", ["opentelemetry._logs", "opentelemetry._gone"])
def test_a_name_that_is_gone(caplog, module):
    """What is gone upstream is None and one warning, not an error."""
    gone = PrivateName(module, "gone", "It is needed.")
    caplog.set_level(logging.WARNING, "runspan")
    assert private_names.find(gone) is None
    assert private_names.find(gone) is None
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{module}.gone is gone, so what needs it is left out. It is needed. Please report it, with the output of"
        " pip freeze."
    )
