"""The Python kernel. Runs cells that come on descriptor 3 and answers on descriptor 4; its output goes to 1 and 2.

A request is a line of JSON: {"code", "count", "envs"}. An answer is a line too: a letter and JSON. `=` ready, `F` cannot
start, `D` shown on the way (acknowledged by the agent, so that output keeps its order), `R` the cell's value, `E` its
error, `.` the cell is over.
"""

import os
import sys

# The kernel's own modules stay findable, behind everything that a user may import; a cell's imports start at its directory.
here = sys.path.pop(0)
sys.path.insert(0, "")
sys.path.append(here)

from cofferdam_channel import Channel  # noqa: E402

channel = Channel(3, 4)


def main():
    try:
        from cofferdam_shell import Kernel
    except ModuleNotFoundError as error:
        channel.send("F", {"code": "unsupported", "message": f"it has no Python module {error.name!r}"})
        return
    kernel = Kernel(channel)
    channel.send("=", {"version": sys.version.split()[0]})
    while True:
        kernel.wait()
        request = channel.request()
        if request is None:
            return
        kernel.run(request)


main()
# Threads of the user's that are not daemons must not keep a kernel alive that nobody can reach.
sys.stdout.flush()
os._exit(0)
