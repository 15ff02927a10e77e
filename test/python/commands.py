"""Commands in the foreground and the background, their input, their end, and terminals."""

from e2b import CommandExitException, PtySize
from e2b.exceptions import InvalidArgumentException, SandboxException, TimeoutException
from world import case, listener, settled


@case("a command in the foreground gives its output and its code, in its directory, as its user")
async def foreground(world):
    run = world.shared.commands.run
    heard, take = listener()
    wrong, take_wrong = listener()
    command = "pwd; id -un; echo $WORD; echo wrong >&2"
    options = {"cwd": "/tmp", "user": "root", "envs": {"WORD": "wörd"}}
    result = await world.call(run, command, on_stdout=take, on_stderr=take_wrong, **options)
    assert (result.stdout, result.stderr, result.exit_code) == ("/tmp\nroot\nwörd\n", "wrong\n", 0), result
    assert "".join(heard) == result.stdout and "".join(wrong) == "wrong\n"
    failed = await world.raised(CommandExitException, run, "echo out; exit 3")
    assert (failed.exit_code, failed.stdout) == (3, "out\n"), failed
    missing = await world.raised(InvalidArgumentException, run, "pwd", cwd="/no/such/place")
    assert "/no/such/place" in str(missing), missing


@case("a command in the background is listed, fed, and ends with its output")
async def background(world):
    commands = world.shared.commands
    heard, take = listener()
    taking = {"on_stdout": take} if world.is_async else {}
    handle = await world.call(commands.run, "cat; echo over", background=True, stdin=True, **taking)
    assert handle.pid in [each.pid for each in await world.call(commands.list)]
    await world.call(commands.send_stdin, handle.pid, "fed\n")
    await world.call(handle.send_stdin, "again\n")
    await world.call(commands.close_stdin, handle.pid)
    result = await world.waited(handle, on_stdout=take)
    assert result.stdout == "fed\nagain\nover\n" and "".join(heard) == result.stdout, result


@case("input is streamed to a command in order")
async def streams_input(world):
    commands = world.shared.commands
    handle = await world.call(commands.run, "cat | sha256sum; echo over", background=True, stdin=True)
    lines = [f"line {at}\n" for at in range(1000)]
    if world.is_async:
        stream = commands.stream_input(handle.pid)
        for line in lines:
            await stream.send(line)
        await stream.close()
    else:
        commands.stream_input(handle.pid, lines)
    await world.call(handle.close_stdin)
    result = await world.waited(handle)
    assert result.stdout.endswith("over\n"), result
    wanted = await world.call(commands.run, "for at in $(seq 0 999); do echo line $at; done | sha256sum")
    assert result.stdout == f"{wanted.stdout}over\n", result


@case("a command is killed, and one that is gone is not there to kill")
async def kills(world):
    commands = world.shared.commands
    handle = await world.call(commands.run, "sleep 100", background=True)
    assert await world.call(handle.kill) is True
    ended = await world.raised(CommandExitException, handle.wait)
    assert ended.exit_code != 0, ended
    assert await world.call(commands.kill, handle.pid) is False


@case("a command that takes too long is ended; one whose reader leaves is not, and is found again")
async def outlives(world):
    sandbox = world.shared
    await world.raised(TimeoutException, sandbox.commands.run, "sleep 100", timeout=1)
    script = "for at in $(seq 1 200); do echo $at; sleep 0.02; done"
    handle = await world.call(sandbox.commands.run, script, background=True)
    await world.call(handle.disconnect)
    again = await world.call(sandbox.commands.connect, handle.pid)
    assert again.pid == handle.pid
    result = await world.waited(again)
    assert result.exit_code == 0 and result.stdout.endswith("\n200\n"), result


@case("a lot of output comes whole, and bytes that are no text are replaced")
async def floods(world):
    run = world.shared.commands.run
    result = await world.call(run, "seq 1 200000")
    assert len(result.stdout) == 1_288_895 and result.stdout.endswith("\n200000\n")
    odd = await world.call(run, r"printf 'a\377b\303\274'")
    assert odd.stdout == "a\ufffdbü", odd


@case("a terminal takes input and a size, is found again, and ends")
async def terminal(world):
    pty = world.shared.pty
    screen = bytearray()
    size = PtySize(rows=24, cols=80)
    taking = {"on_data": screen.extend} if world.is_async else {}
    handle = await settled(pty.create(size, **taking))
    await world.call(pty.resize, handle.pid, PtySize(rows=30, cols=100))
    await world.call(pty.send_stdin, handle.pid, b"stty size; echo $TERM; exit 0\n")
    result = await world.waited(handle, on_pty=screen.extend)
    assert result.exit_code == 0, result
    assert b"30 100\r\nxterm-256color" in screen, bytes(screen)
    other = await settled(pty.create(size, **taking))
    assert await world.call(pty.kill, other.pid) is True
    await world.raised((CommandExitException, SandboxException), other.wait)
