"""The kernel's line to the agent: requests in, answers out."""

import fcntl
import json
import os
import threading

encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
max_line_bytes = 60 * 1024 * 1024


class Channel:
    """One line is whole or not begun: an interrupt that comes while one is written is raised when it is out."""

    def __init__(self, read_fd, write_fd):
        self.input = self._hide(read_fd)
        self.output = self._hide(write_fd)
        self.owner = os.getpid()
        self.lock = threading.RLock()
        self.held = b""
        self.outbox = []
        self.sequence = 0
        self.writing = False
        self.interrupted = False

    @staticmethod
    def _hide(fd):
        """Moves a descriptor out of the way of programs that the user starts, and of their inheritance."""
        hidden = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200)
        os.close(fd)
        return hidden

    def _line(self):
        """The next line, or None when the agent has closed its end."""
        while b"\n" not in self.held:
            chunk = os.read(self.input, 65536)
            if not chunk:
                return None
            self.held += chunk
        line, _, self.held = self.held.partition(b"\n")
        return line

    def request(self):
        """The next request; None at the end."""
        while True:
            line = self._line()
            if line is None:
                return None
            if line.startswith(b"{"):
                return json.loads(line)

    def hold(self, kind, fields):
        """Puts a line with the next ones that are sent, to spare a write."""
        self.outbox.append(kind + encode(fields) + "\n")

    def send(self, kind, fields):
        with self.lock:
            self.hold(kind, fields)
            self._flush()

    def show(self, fields):
        """Sends something displayed and waits until the agent has put it in its place among the output."""
        with self.lock:
            self.sequence += 1
            self.send("D", fields)
            answer = b"+%d" % self.sequence
            while True:
                line = self._line()
                if line is None or line == answer:
                    return

    def _flush(self):
        self.writing = True
        try:
            data = memoryview("".join(self.outbox).encode("ascii"))
            self.outbox.clear()
            while data:
                data = data[os.write(self.output, data) :]
        finally:
            self.writing = False
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt
