"""redis-py with asyncio: the delivery stream of a chat, where one thread waits for several workers at once."""

import asyncio
import sys

import redis.asyncio
from delivery import GROUP, entries_read, ids_of, message_of
from harness import TARGET, scenario

PROTOCOL = int(sys.argv[1])
LONG_WAIT_MS = 4000
IDLE_MS = 60


def with_asyncio(function):
    """Runs a scenario that is a coroutine, with a way to connect whose connections are closed in the end."""

    async def run(tools):
        opened = []

        async def connect():
            opened.append(redis.asyncio.Redis(**TARGET, protocol=PROTOCOL, decode_responses=True))
            return opened[-1]

        try:
            await function(tools, connect)
        finally:
            for client in opened:
                await client.aclose()

    return lambda tools: asyncio.run(run(tools))


async def deliver(worker, stream, consumer, ended, handled):
    """Handles and acknowledges messages until all are handled; the library does not always heed that a task is cancelled."""
    while not ended.is_set():
        reply = await worker.xreadgroup(GROUP, consumer, {stream: ">"}, count=10, block=100)
        for identifier, message in entries_read(reply):
            await worker.xack(stream, GROUP, identifier)
            handled.append(message["messageId"])


@scenario("delivery: with asyncio three workers handle every message once")
@with_asyncio
async def three_workers(tools, connect):
    node, stream, handled, ended = await connect(), tools.key("message-delivery-stream"), [], asyncio.Event()
    await node.xgroup_create(stream, GROUP, "0", mkstream=True)
    workers = [await connect() for _ in range(3)]
    working = asyncio.gather(*(
        deliver(worker, stream, f"worker {number}", ended, handled) for number, worker in enumerate(workers)
    ))
    await asyncio.gather(*(node.xadd(stream, message_of(number)) for number in range(100)))
    while len(handled) < 100 and not working.done():
        await asyncio.sleep(0.01)
    ended.set()
    await working
    assert (await node.xpending(stream, GROUP))["pending"] == 0
    assert sorted(handled) == sorted(f"m{number}" for number in range(100))


@scenario("delivery: with asyncio readers without a group see every message")
@with_asyncio
async def fan_out(tools, connect):
    node, stream = await connect(), tools.key("message-delivery-stream")
    first = await node.xadd(stream, message_of(0))
    readers = [await connect() for _ in range(3)]
    reading = [asyncio.create_task(reader.xread({stream: first}, block=LONG_WAIT_MS)) for reader in readers]
    await asyncio.sleep(0.05)
    second = await node.xadd(stream, message_of(1))
    assert [entries_read(reply) for reply in await asyncio.gather(*reading)] == [[(second, message_of(1))]] * 3


@scenario("retry: with asyncio what a worker that is gone left is claimed")
@with_asyncio
async def claimed(tools, connect):
    node, stream = await connect(), tools.key("message-delivery-stream")
    await node.xgroup_create(stream, GROUP, "0", mkstream=True)
    ids = [await node.xadd(stream, message_of(number)) for number in range(3)]
    crashed = await connect()
    assert ids_of(entries_read(await crashed.xreadgroup(GROUP, "crashed", {stream: ">"}))) == ids
    await crashed.aclose()
    await asyncio.sleep(IDLE_MS / 1000)
    after, entries, deleted = await node.xautoclaim(stream, GROUP, "second", IDLE_MS)
    assert (after, ids_of(entries), deleted) == ("0-0", ids, [])
    pending = await node.xpending_range(stream, GROUP, "-", "+", 10, consumername="second")
    assert [(one["message_id"], one["times_delivered"]) for one in pending] == [(identifier, 2) for identifier in ids]
    assert await node.xack(stream, GROUP, *ids) == 3


@scenario("stream info: with asyncio")
@with_asyncio
async def told(tools, connect):
    node, stream = await connect(), tools.key("message-delivery-stream")
    await node.xgroup_create(stream, GROUP, "0", mkstream=True)
    identifier = await node.xadd(stream, message_of(0), maxlen=1000)
    await node.xreadgroup(GROUP, "ann", {stream: ">"})
    stream_told, [group], [consumer] = await asyncio.gather(
        node.xinfo_stream(stream), node.xinfo_groups(stream), node.xinfo_consumers(stream, GROUP)
    )
    assert (stream_told["length"], stream_told["first-entry"]) == (1, (identifier, message_of(0)))
    assert (group["name"], group["pending"], group["lag"]) == (GROUP, 1, 0)
    assert (consumer["name"], consumer["pending"]) == ("ann", 1)
