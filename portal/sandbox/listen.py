"""Runs a server with a listening socket as its file descriptor 3: `python listen.py HOST:PORT COMMAND …`.

Caddy opens its port anew with each change of its configuration, and Linux then drops connections that wait on the old
socket. One that it inherits stays.
"""

import os
import socket
import sys


def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    listener = socket.create_server((host, int(port)), backlog=1024)
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)  # dup2 leaves that alone when it is 3 already
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 — the command is the sandbox's own


main()
