"""SHA-256 of files, several at once: hashlib lets other threads run while it works."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType

from migrations_app.dataplane.process import Check

Entry = dict[str, str | int]
"""`bytes` and `sha256` of one file, as the manifest has them."""

_BLOCK_BYTES = 1 << 20


class Checksums:
    """A context manager; what is still being read when it is left is given up."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._left = threading.Event()
        self._begun: dict[str, Future[Entry]] = {}

    def begin(self, path: Path) -> None:
        """Read the file, which nobody writes to any more. Once per name."""
        if path.name not in self._begun:
            self._begun[path.name] = self._pool.submit(self._read, path)

    def entries(self, check: Check) -> dict[str, Entry]:
        """By name, for all files that were begun. `check` is called while they are waited for. Errors: OSError."""
        pending = set(self._begun.values())
        while pending:
            finished, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
            check()
        return {name: self._begun[name].result() for name in sorted(self._begun)}

    def __enter__(self) -> Checksums:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left.set()
        self._pool.shutdown(cancel_futures=True)

    def _read(self, path: Path) -> Entry:
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while (block := file.read(_BLOCK_BYTES)) and not self._left.is_set():
                digest.update(block)
                size += len(block)
        return {"bytes": size, "sha256": digest.hexdigest()}
