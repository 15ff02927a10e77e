"""Files in all forms."""

import io
import urllib.request
from urllib.error import HTTPError

from e2b import FileType, FilesystemEventType
from e2b.exceptions import InvalidArgumentException, NotFoundException, SandboxException
from world import case, listener


@case("files are written and read as text, bytes and streams")
async def in_every_form(world):
    files = world.shared.files
    path = "/home/user/new/ümlaut name.txt"
    written = await world.call(files.write, path, "text ü")
    assert (written.path, written.name, written.type) == (path, "ümlaut name.txt", FileType.FILE), written
    assert await world.call(files.read, path) == "text ü"
    content = bytes(at % 251 for at in range(300_000))
    await world.call(files.write, "bytes", content)
    assert bytes(await world.call(files.read, "/home/user/bytes", format="bytes")) == content
    assert bytes(await world.call(files.read, "bytes", format="bytes", gzip=True)) == content
    await world.call(files.write, "stream", io.BytesIO(content))
    reader = await world.call(files.read, "stream", format="stream")
    chunks = [chunk async for chunk in reader] if world.is_async else list(reader)
    assert b"".join(chunks) == content
    await world.call(files.write, "empty", "")
    assert await world.call(files.read, "empty") == ""


@case("several files are written at once")
async def several(world):
    files = world.shared.files
    entries = [{"path": "many/a", "data": "1"}, {"path": "many/b", "data": b"2"}, {"path": "/tmp/c", "data": io.BytesIO(b"3")}]
    written = await world.call(files.write_files, entries)
    assert [each.path for each in written] == ["/home/user/many/a", "/home/user/many/b", "/tmp/c"], written
    assert [await world.call(files.read, each.path) for each in written] == ["1", "2", "3"]


@case("files are listed, asked about, moved and removed")
async def are_moved(world):
    files = world.shared.files
    root = f"/tmp/tree-{world.kind}"
    assert await world.call(files.make_dir, f"{root}/deep") is True
    assert await world.call(files.make_dir, f"{root}/deep") is False
    await world.call(files.write, f"{root}/deep/leaf", "leaf")
    listed = await world.call(files.list, root, depth=2)
    assert [each.path for each in listed] == [f"{root}/deep", f"{root}/deep/leaf"], listed
    assert [each.type for each in listed] == [FileType.DIR, FileType.FILE], listed
    moved = await world.call(files.rename, f"{root}/deep/leaf", f"{root}/other")
    assert moved.path == f"{root}/other", moved
    info = await world.call(files.get_info, f"{root}/other")
    assert (info.size, info.permissions, info.owner) == (4, "-rw-r--r--", "user"), info
    await world.call(files.remove, root)
    assert await world.call(files.exists, f"{root}/other") is False


@case("what is wrong with a file is told")
async def is_told(world):
    files = world.shared.files
    await world.raised(NotFoundException, files.read, "/tmp/no-such-file")
    await world.raised(NotFoundException, files.rename, "/tmp/no-such-file", "/tmp/other")
    await world.raised((InvalidArgumentException, SandboxException), files.read, "/tmp")
    await world.raised(NotFoundException, files.list, "/tmp/no-such-directory")


@case("a directory is watched, also what lies deeper")
async def is_watched(world):
    files = world.shared.files
    root = f"/tmp/watched-{world.kind}"
    await world.call(files.make_dir, f"{root}/inner")
    heard, take = listener()
    taking = {"on_event": take} if world.is_async else {}
    handle = await world.call(files.watch_dir, root, recursive=True, **taking)

    def seen():
        if not world.is_async:
            heard.extend(handle.get_new_events())
        return [(event.type, event.name) for event in heard]

    await world.call(files.write, f"{root}/inner/file", "1")
    await world.until(seen, lambda events: (FilesystemEventType.CREATE, "inner/file") in events)
    await world.call(files.remove, f"{root}/inner/file")
    await world.until(seen, lambda events: (FilesystemEventType.REMOVE, "inner/file") in events)
    await world.call(handle.stop)


@case("files come by signed addresses, which are good for one path and their time")
async def by_address(world):
    sandbox = world.shared
    await world.call(sandbox.files.write, "/home/user/signed", "signed")
    address = sandbox.download_url("/home/user/signed")
    assert urllib.request.urlopen(address).read() == b"signed"
    assert status_of(address.replace("%2Fsigned", "%2Fbytes").replace("/signed", "/bytes")) == 401
    assert status_of(sandbox.download_url("/home/user/signed", use_signature_expiration=-10)) == 401
    target = sandbox.upload_url("/home/user/uploaded", use_signature_expiration=60)
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="uploaded"\r\n\r\nup\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert urllib.request.urlopen(urllib.request.Request(target, data=part, headers=headers)).status == 200
    assert await world.call(sandbox.files.read, "/home/user/uploaded") == "up"


def status_of(address):
    try:
        return urllib.request.urlopen(address).status
    except HTTPError as refused:
        return refused.code
