"""gunicorn's settings: each worker configures itself."""

from runspan import configure


def post_fork(server, worker):
    """Called in each worker before it has set its signals."""
    configure()
