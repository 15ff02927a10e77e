"""Sandboxes are made, found, listed, asked about, and ended."""

import urllib.request
from datetime import datetime, timezone
from urllib.error import HTTPError

from e2b import NotFoundException, SandboxException, SandboxQuery, SandboxState
from e2b.exceptions import AuthenticationException, TimeoutException
from world import case


@case("a sandbox is made with its environment and metadata, and found by its id")
async def creates(world):
    sandbox = await world.create("base", metadata={"for": "ümlaut & = ?"}, envs={"WORD": "wörd"}, timeout=120)
    try:
        info = await world.call(sandbox.get_info)
        assert info.metadata == {"for": "ümlaut & = ?", "cofferdam.driver": world.driver}, info
        assert info.template_id == "base" and info.state == SandboxState.RUNNING, info
        assert info.cpu_count >= 1 and info.memory_mb >= 128, info
        left = (info.end_at - datetime.now(timezone.utc)).total_seconds()
        assert 60 < left <= 121, left
        found = await world.call(world.sandboxes.connect, sandbox.sandbox_id)
        said = await world.call(found.commands.run, "echo $WORD")
        assert said.stdout == "wörd\n", said
    finally:
        assert await world.call(sandbox.kill)
    assert await world.call(world.sandboxes.kill, sandbox.sandbox_id) is False
    assert await world.call(sandbox.is_running) is False


@case("sandboxes are listed by metadata, page by page")
async def lists(world):
    mark = {"mark": f"{world.kind} {world.driver} & more"}
    made = [await world.create("base", metadata=mark) for _ in range(3)]
    try:
        pages = []
        paginator = world.sandboxes.list(query=SandboxQuery(metadata=mark), limit=2)
        while paginator.has_next:
            pages.append([each.sandbox_id for each in await world.page(paginator)])
        assert [len(page) for page in pages] == [2, 1], pages
        assert {each for page in pages for each in page} == {each.sandbox_id for each in made}
        other = world.sandboxes.list(query=SandboxQuery(metadata={"mark": "none"}))
        assert await world.page(other) == []
    finally:
        for sandbox in made:
            await world.call(sandbox.kill)


@case("a lifetime is set, and a sandbox whose time is over is gone")
async def lives_so_long(world):
    sandbox = await world.create("base", timeout=300)
    await world.call(sandbox.set_timeout, 600)
    info = await world.call(sandbox.get_info)
    assert (info.end_at - info.started_at).total_seconds() > 550, info
    await world.call(sandbox.set_timeout, 1)
    await world.until(sandbox.is_running, lambda running: running is False)
    await world.raised(NotFoundException, world.sandboxes.connect, sandbox.sandbox_id)


@case("a missing sandbox, a missing template and a wrong key are told apart")
async def refuses(world):
    await world.raised(NotFoundException, world.sandboxes.connect, "i0000000000000000000")
    missing = await world.raised((NotFoundException, SandboxException), world.sandboxes.create, "no-such-template")
    assert "no-such-template" in str(missing), missing
    await world.raised(AuthenticationException, world.sandboxes.create, "base", api_key="e2b_" + "0" * 40)


@case("what a sandbox uses is measured")
async def measures(world):
    measured = await world.until(world.shared.get_metrics, lambda samples: len(samples) > 0)
    last = measured[-1]
    assert last.mem_total > 64 * 1024 * 1024 and 0 < last.mem_used <= last.mem_total, last
    assert last.disk_total > last.disk_used >= 0 and last.cpu_count >= 1, last


@case("a secured sandbox lets in nobody without its token")
async def is_secured(world):
    sandbox = world.shared
    address = f"{sandbox.connection_config.get_sandbox_url(sandbox.sandbox_id, sandbox.sandbox_domain)}"
    headers = {
        "Content-Type": "application/json",
        "E2b-Sandbox-Id": sandbox.sandbox_id,
        "E2b-Sandbox-Port": "49983",
    }
    asked = urllib.request.Request(f"{address}/process.Process/List", data=b"{}", headers=headers)
    try:
        urllib.request.urlopen(asked)
        raise AssertionError("it was let in")
    except HTTPError as refused:
        assert refused.code == 401, refused


@case("a port is reached by its host name")
async def serves(world):
    sandbox = world.shared
    program = "python3 -m http.server 8000 --bind 127.0.0.1 --directory /etc"
    server = await world.call(sandbox.commands.run, program, background=True)
    host = sandbox.get_host(8000)
    assert host.startswith(f"8000-{sandbox.sandbox_id}."), host
    address = sandbox.connection_config.get_sandbox_url(sandbox.sandbox_id, sandbox.sandbox_domain)

    def read():
        asked = urllib.request.Request(f"{address}/hostname", headers={"Host": host})
        try:
            return urllib.request.urlopen(asked).status
        except HTTPError as refused:
            return refused.code

    try:
        await world.until(read, lambda status: status == 200)
    finally:
        await world.call(server.kill)


@case("a sandbox that is killed while a command runs fails the call")
async def is_killed(world):
    sandbox = await world.create("base")
    handle = await world.call(sandbox.commands.run, "sleep 60", background=True)
    await world.call(sandbox.kill)
    await world.raised((SandboxException, TimeoutException), handle.wait)
    await world.raised(
        (SandboxException, TimeoutException), sandbox.commands.run, "echo still here"
    )


@case("what no driver can do is refused by name, before anything starts")
async def refuses_options(world):
    paginator = world.sandboxes.list(query=SandboxQuery(metadata={"never": "made"}))
    refused = await world.raised(
        SandboxException, world.create, "base", metadata={"never": "made"}, iam={"tokens": {"a": {"audience": "b"}}}
    )
    assert "iam" in str(refused), refused
    assert await world.page(paginator) == []
