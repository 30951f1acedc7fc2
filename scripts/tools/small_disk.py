"""A disk in memory that can be made full, and empty again: a tmpfs whose size is what lies on it. Needs root."""

import os
import subprocess
from pathlib import Path

PAGE_BYTES = 4096


class SmallDisk:
    def __init__(self, path: Path, size_bytes: int) -> None:
        """Mount it at `path`, which is made. `works` says whether that could be done; where not, `path` is a folder of
        the disk below."""
        path.mkdir()
        self.path = path
        self._size_bytes = size_bytes
        self.works = os.geteuid() == 0 and _mount(["-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "tmpfs"], path)

    def fill(self) -> None:
        """From now on nothing more can be written than fits into the pages that files have."""
        for _ in range(10):  # something may be written meanwhile; less than what is there is refused
            if self._resize(self._used_bytes() + PAGE_BYTES):
                return

    def empty(self) -> None:
        """The whole size can be used again."""
        self._resize(self._size_bytes)

    def _used_bytes(self) -> int:
        found = os.statvfs(self.path)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def _resize(self, size_bytes: int) -> bool:
        return _mount(["-o", f"remount,size={size_bytes}"], self.path)

    def close(self) -> None:
        if self.works:
            subprocess.run(["umount", "--lazy", self.path], capture_output=True, check=False)


def _mount(options: list[str], path: Path) -> bool:
    return subprocess.run(["mount", *options, path], capture_output=True, check=False).returncode == 0
