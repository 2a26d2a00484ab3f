"""``python -m runspan``, the same as the command ``runspan``."""

from runspan.cli.__main__ import main

if __name__ == "__main__":
    main()
