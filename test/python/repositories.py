"""Git, as the package drives it by commands in the sandbox."""

import warnings

from world import case

warnings.filterwarnings("ignore", category=DeprecationWarning)


@case("a repository is made, committed to, branched, pushed and cloned")
async def repositories(world):
    git, files = world.shared.git, world.shared.files
    work, bare = f"/home/user/work-{world.kind}", f"/home/user/bare-{world.kind}.git"
    await world.call(git.configure_user, "A Name", "name@example.org")
    await world.call(git.init, bare, bare=True, initial_branch="main")
    await world.call(git.init, work, initial_branch="main")
    await world.call(files.write, f"{work}/file", "one\n")
    status = await world.call(git.status, work)
    assert [(each.name, each.status) for each in status.file_status] == [("file", "untracked")], status
    await world.call(git.add, work)
    await world.call(git.commit, work, "a first one")
    assert (await world.call(git.status, work)).is_clean
    await world.call(git.create_branch, work, "other")
    branches = await world.call(git.branches, work)
    assert set(branches.branches) == {"main", "other"} and branches.current_branch == "other", branches
    await world.call(git.checkout_branch, work, "main")
    await world.call(git.delete_branch, work, "other", force=True)
    await world.call(git.remote_add, work, "origin", bare)
    await world.call(git.push, work, remote="origin", branch="main")
    copy = f"/home/user/copy-{world.kind}"
    await world.call(git.clone, bare, path=copy)
    assert await world.call(files.read, f"{copy}/file") == "one\n"
    assert await world.call(git.get_config, "user.name") == "A Name"
