#!/usr/bin/env python3
"""The portal's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    try:
        from portal import command_line
    except ImportError:
        sys.exit("Django is not installed for this Python. Run `make dev` once, then use .venv/bin/python manage.py …")
    command_line.main(sys.argv)


if __name__ == "__main__":
    main()
