"""The lock under which clients are built, and what they share."""

from typing import Final

from runspan._forking import fork_safe_lock

# One for both: who builds a client takes it again for what that shares, and a fork that held one of two would wait for
# the other for ever. A fork in the middle of an import would leave the child with a module that is never complete.
building: Final = fork_safe_lock()
