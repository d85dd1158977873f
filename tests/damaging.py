"""Damage to the files of a store, as disks and people do it."""

from __future__ import annotations

from pathlib import Path

from zcsr.store.kept import checksums


def without_sums(folder: Path) -> None:
    """Leave the files of a folder as an earlier version wrote them, which knew no checksums."""
    for file in folder.rglob(".*.sum"):
        file.unlink()
    forget()


def forget() -> None:
    """Let this process read files again that it found to be right, as another process would."""
    checksums._right.clear()
