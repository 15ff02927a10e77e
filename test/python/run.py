"""Runs every case against the server that the environment names.

run.py --list             prints the promises, one a line
run.py KIND DRIVER        KIND is `sync` or `async`; prints a JSON line for each case: its name and, unless it passed,
                          why it failed or was not run
"""

import asyncio
import json
import sys
import time
import traceback

import commands  # noqa: F401
import evaluations  # noqa: F401
import files  # noqa: F401
import life  # noqa: F401
import powers  # noqa: F401
import repositories  # noqa: F401
from world import CASES, NotRun, World


async def main(kind, driver):
    world = World(kind, driver)
    world.shared = await world.create("code-interpreter", timeout=600)
    try:
        for promise, check in CASES:
            said = {"name": promise}
            begun = time.monotonic()
            try:
                await asyncio.wait_for(check(world), 100)
            except NotRun as reason:
                said["notRun"] = str(reason)
            except Exception:
                said["failed"] = traceback.format_exc(limit=-6)
            print(json.dumps({**said, "seconds": round(time.monotonic() - begun, 3)}), flush=True)
    finally:
        await world.call(world.shared.kill)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(promise for promise, _ in CASES))
    else:
        asyncio.run(main(*sys.argv[1:]))
