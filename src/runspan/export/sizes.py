def framed(size: int) -> int:
    """Return what a field of so many bytes takes in a message of protobuf: its tag and length come before it.

    https://protobuf.dev/programming-guides/encoding/#length-types
    """
    return 1 + max(1, -(-size.bit_length() // 7)) + size
