"""What cases of E2B's Python packages are given: one of the classes, synchronous or not, a driver, and a sandbox."""

import asyncio
import inspect
import time

from e2b_code_interpreter import AsyncSandbox, Sandbox

PATIENCE_SECONDS = 20.0
CASES = []


class NotRun(Exception):
    """A case cannot be run here; it says why."""


def case(promise):
    """Registers a case by its promise."""

    def register(check):
        CASES.append((promise, check))
        return check

    return register


async def settled(value):
    """What a call gives, of either class."""
    return await value if inspect.isawaitable(value) else value


class World:
    """A class of the package, a driver behind it, and a sandbox that the cases share."""

    def __init__(self, kind, driver):
        self.kind = kind
        self.is_async = kind == "async"
        self.sandboxes = AsyncSandbox if self.is_async else Sandbox
        self.driver = driver
        self.shared = None

    async def create(self, template=None, metadata=None, **options):
        own = {"cofferdam.driver": self.driver, **(metadata or {})}
        return await settled(self.sandboxes.create(template, metadata=own, **options))

    async def page(self, paginator):
        return await settled(paginator.next_items())

    async def call(self, method, *values, **options):
        """Calls a method of either class: `await world.call(sandbox.files.read, path)`."""
        return await settled(method(*values, **options))

    async def raised(self, kinds, method, *values, **options):
        """The error that a call raises. Anything else is a failure."""
        try:
            given = await self.call(method, *values, **options)
        except kinds as error:
            return error
        raise AssertionError(f"nothing was raised, and {given!r} given")

    async def until(self, read, wanted):
        """Reads again and again until it is as wanted."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = await settled(read())
            if wanted(found):
                return found
            assert time.monotonic() < end, f"still {found!r}"
            await asyncio.sleep(0.05)

    async def waited(self, handle, **callbacks):
        """The end of a command; the synchronous class takes what it prints now, the other has taken it all along."""
        return await settled(handle.wait() if self.is_async else handle.wait(**callbacks))


def listener():
    """A function that keeps what it is called with, and the list."""
    heard = []
    return heard, heard.append
