"""What things take in a message of protobuf: https://protobuf.dev/programming-guides/encoding/."""


def varint(number: int) -> int:
    """Return what a whole number takes, in bytes."""
    return -(-(number | 1).bit_length() // 7) if number >= 0 else 10


def framed(size: int) -> int:
    """Return what a field of so many bytes takes: its tag and length come before it."""
    return 1 + varint(size) + size
