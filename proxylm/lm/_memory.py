"""Memory of the C library: kept between batches, given back at the end."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt (malloc.h of glibc), and what they are without a call.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
DEFAULT_TRIM, DEFAULT_MAPS = 128 << 10, 1 << 16
KEPT = 1 << 30


def _c_library() -> ctypes.CDLL | None:
    """Return the C library if it is glibc and nobody has set it up already."""
    if os.name != "posix" or any(name.startswith("MALLOC_") for name in os.environ):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def give_back() -> None:
    """Give memory that is free back to the system."""
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


@contextmanager
def keep_memory() -> Iterator[None]:
    """Keep what is freed for the next tensor, until the end.

    glibc asks the system for each large tensor and gives it back at once; the system
    clears each page anew, which takes longer than most sums over a tensor.
    """
    library = _c_library()
    if library is None:
        yield
        return
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, KEPT)
    try:
        yield
    finally:
        library.mallopt(MMAP_MAX, DEFAULT_MAPS)
        library.mallopt(TRIM_THRESHOLD, DEFAULT_TRIM)
        library.malloc_trim(0)
