"""What the demo and the tests need besides runspan itself; the extra `demo` installs what it imports."""
