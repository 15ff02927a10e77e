"""Sandboxes are paused and go on, and copies are made of them, where the driver can."""

import json
import os
import urllib.request

from e2b import SandboxQuery, SandboxState
from e2b.exceptions import SandboxException
from world import NotRun, case


def told(world):
    """What the server says of the driver."""
    headers = {"X-API-Key": os.environ["E2B_API_KEY"]}
    address = os.environ.get("E2B_API_URL") or f"https://api.{os.environ['E2B_DOMAIN']}"
    asked = urllib.request.Request(f"{address}/cofferdam/v1/drivers", headers=headers)
    drivers = json.load(urllib.request.urlopen(asked))
    return next(each for each in drivers if each["name"] == world.driver)


@case("what is paused with its memory goes on with its processes")
async def pauses(world):
    if "memory" not in told(world)["pauseKeeps"]:
        raise NotRun(f"{world.driver} keeps no memory")
    sandbox = await world.create("base", timeout=300)
    try:
        counting = "at=0; while :; do at=$((at+1)); echo $at; sleep 0.05; done"
        handle = await world.call(sandbox.commands.run, counting, background=True, timeout=0)
        await world.call(handle.disconnect)
        assert await world.call(sandbox.pause) is True
        assert await world.call(sandbox.pause) is False
        assert (await world.call(sandbox.get_info)).state == SandboxState.PAUSED
        paused = world.sandboxes.list(query=SandboxQuery(state=[SandboxState.PAUSED]))
        assert sandbox.sandbox_id in [each.sandbox_id for each in await world.page(paused)]
        again = await world.call(sandbox.connect, timeout=300)
        assert handle.pid in [each.pid for each in await world.call(again.commands.list)]
        assert (await world.call(again.commands.run, "echo awake")).stdout == "awake\n"
    finally:
        await world.call(sandbox.kill)


@case("what is paused with its files alone starts anew from them")
async def keeps_files(world):
    if "files" not in told(world)["pauseKeeps"]:
        raise NotRun(f"{world.driver} keeps no files alone")
    sandbox = await world.create("base", timeout=300)
    try:
        await world.call(sandbox.commands.run, "sleep 1000", background=True, timeout=0)
        await world.call(sandbox.files.write, "kept", "kept")
        assert await world.call(sandbox.pause, mode="filesystem") is True
        again = await world.call(sandbox.connect, timeout=300)
        assert await world.call(again.files.read, "kept") == "kept"
        assert await world.call(again.commands.list) == []
    finally:
        await world.call(sandbox.kill)


@case("a snapshot makes sandboxes, and a fork makes copies")
async def copies(world):
    if "snapshot" not in told(world)["capabilities"]:
        refused = await world.raised(SandboxException, world.shared.create_snapshot)
        assert "snapshot" in str(refused), refused
        raise NotRun(f"{world.driver} makes no snapshots, and said so")
    sandbox = await world.create("base", timeout=300)
    made = [sandbox]
    try:
        await world.call(sandbox.files.write, "kept", "kept")
        snapshot = await world.call(sandbox.create_snapshot)
        made.append(await world.create(snapshot.snapshot_id, timeout=300))
        made.extend(await world.call(sandbox.fork, count=2, timeout=300))
        for each in made:
            assert await world.call(each.files.read, "kept") == "kept"
        assert len({each.sandbox_id for each in made}) == 4, made
    finally:
        for each in made:
            await world.call(each.kill)
    assert await world.call(world.sandboxes.delete_snapshot, snapshot.snapshot_id) is True
