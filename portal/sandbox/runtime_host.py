"""A region's runtime host: `python -m portal.sandbox.runtime_host <region's folder>`.

Becomes supervisord. First it ends what an earlier supervisord of this region left behind when it was killed: apps
whose parent is gone go on running, hold their ports, and cannot be restarted by anybody.
"""

from __future__ import annotations

import os
import sys

from portal.sandbox.layout import REGION_MARKER
from portal.sandbox.sweep import end, marked


def main(folder: str) -> None:
    end(lambda: marked(REGION_MARKER, folder))
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "supervisor.supervisord", "-c", "supervisord.conf"])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
