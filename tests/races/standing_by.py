"""What else happens in a race: opened beforehand, so that it starts without delay."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def standing_by(
    opening: AbstractAsyncContextManager[T], work: Callable[[T], Awaitable[object]]
) -> Iterator[Callable[[], None]]:
    """Open something in an event loop of its own; give what runs `work` on it to its end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def enter(stack: AsyncExitStack) -> T:
        return await stack.enter_async_context(opening)

    async def run(opened: T) -> None:
        await work(opened)

    stack = AsyncExitStack()
    try:
        opened = asyncio.run_coroutine_threadsafe(enter(stack), loop).result()
        yield lambda: asyncio.run_coroutine_threadsafe(run(opened), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
