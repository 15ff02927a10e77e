"""Runs a program in a terminal of its own, so that a test can be the person in front of it.

Each line on standard input is JSON: {"send": "keys"}, {"resize": [cols, rows]}, {"signal": number} or {"hang-up": true}.
What the program prints comes out as it is. The last line says how it ended and whether it left the terminal as it was.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios


def size(terminal, columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def act(master, child, line):
    order = json.loads(line)
    if "send" in order:
        os.write(master, order["send"].encode())
    if "resize" in order:
        size(master, *order["resize"])
    if "signal" in order:
        os.kill(child, order["signal"])
    return "hang-up" in order


def relay(master, child):
    """Until the program has ended: orders in, output out."""
    held = b""
    sources = [master, 0]
    while master in sources:
        ready, _, _ = select.select(sources, [], [])
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                sources.remove(0)
            *lines, held = (held + read).split(b"\n")
            if any([act(master, child, line) for line in lines]):
                return
        if master in ready:
            try:
                printed = os.read(master, 65536)
            except OSError:
                printed = b""
            if not printed:
                sources.remove(master)
            os.write(1, printed)


def main():
    master, slave = pty.openpty()
    size(slave, 100, 30)
    before = termios.tcgetattr(slave)
    child = os.fork()
    if child == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(slave, descriptor)
        os.closerange(3, 256)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execvp(sys.argv[1], sys.argv[1:])
    watched = os.fork()
    if watched == 0:
        os.close(slave)
        relay(master, child)
        os._exit(0)
    os.close(master)
    _, status = os.waitpid(child, 0)
    try:
        same = termios.tcgetattr(slave) == before
    except termios.error:
        same = None
    os.close(slave)
    os.waitpid(watched, 0)
    print("\n" + json.dumps({"exit": os.waitstatus_to_exitcode(status), "restored": same}), flush=True)


main()
