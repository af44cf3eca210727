"""Memory of the C library: kept between batches, given back at the end."""

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Parameters of mallopt (malloc.h of glibc), and what they are without a call.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
DEFAULT_TRIM, DEFAULT_MAPS = 128 << 10, 1 << 16
KEPT = 1 << 30
# What is mapped into the memory of this process (Linux).
MAPS = Path("/proc/self/maps")


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


class FilePages:
    """Pages of files that are part of the memory of this process.

    Weights that are read through such a mapping stay in memory for as long as any of
    their file is used, unless their pages are let go of.
    """

    def __init__(self):
        self._ranges = []
        self._library = _c_library() if MAPS.is_file() else None
        if self._library is not None:
            # Begin and end, rights, offset, device, inode, path.
            lines = MAPS.read_text(errors="replace").splitlines()
            found = [
                line.split(maxsplit=5)[0]
                for line in lines
                if "/" in line and not line.endswith("(deleted)")
            ]
            self._ranges = [[int(x, 16) for x in r.split("-")] for r in found]

    def release(self, address: int, size: int) -> int:
        """Let go of the whole pages in a range; return how many bytes.

        What was changed since it was read is lost; the rest is read again if need be.
        """
        page = mmap.PAGESIZE
        begin, end = -(-address // page) * page, (address + size) // page * page
        if begin >= end or not any(x <= begin and end <= y for x, y in self._ranges):
            return 0
        arguments = (ctypes.c_void_p(begin), ctypes.c_size_t(end - begin))
        done = self._library.madvise(*arguments, mmap.MADV_DONTNEED)
        return 0 if done else end - begin


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
