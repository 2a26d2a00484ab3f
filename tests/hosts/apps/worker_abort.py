"""gunicorn's settings: a worker whose request takes too long delivers before it is killed."""


def worker_abort(worker):
    """Called in a worker about a second before it is killed."""
    from wsgi import handle

    handle.shutdown(timeout=0.5)
