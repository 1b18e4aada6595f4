"""Setting test images aside where a dataset does not."""

import hashlib


def in_test(key: bytes, fraction: float) -> bool:
    """Whether the image known by `key` is for testing: about `fraction` of all keys are.

    The key alone decides (the first 64 bits of its SHA-256), so an image stays on its side whatever is
    added to or removed from the dataset.
    """
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") < fraction * 2**64
