"""The delivery of a chat's messages: a stream that a group of workers reads, each message acknowledged by who has handled it."""

import threading
import time

import redis
from harness import eventually, scenario
from jobs import Background, named, refusal, until_waiting

GROUP = "delivery"
LONG_WAIT_MS = 4000


def message_of(number):
    return {"messageId": f"m{number}", "chatId": "c1", "content": f"Grüße {number} 👋"}


def ids_of(entries):
    return [identifier for identifier, _ in entries]


def add_messages(client, stream, count):
    """Adds so many messages one after the other, and returns their ids."""
    return [client.xadd(stream, message_of(number)) for number in range(count)]


def open_group(client, stream):
    """A group that reads from the first message on; false when somebody else has made it already."""
    try:
        return client.xgroup_create(stream, GROUP, "0", mkstream=True)
    except redis.ResponseError as error:
        if str(error).startswith("BUSYGROUP "):
            return False
        raise


def entries_read(reply):
    """The entries of the one stream that was read: RESP2 has a list of streams, RESP3 a map."""
    if not reply:
        return []
    if isinstance(reply, dict):
        [[entries]] = reply.values()
    else:
        [[_, entries]] = reply
    return entries


def read_group(worker, stream, consumer, after=">", **options):
    return entries_read(worker.xreadgroup(GROUP, consumer, {stream: after}, **options))


def next_messages(worker, stream, consumer):
    """The next messages for a worker; where the server has lost the group, there are none and it is made anew."""
    try:
        return read_group(worker, stream, consumer, count=10, block=200)
    except redis.ConnectionError:
        time.sleep(0.025)
    except redis.ResponseError as error:
        if not str(error).startswith("NOGROUP "):
            raise
        open_group(worker, stream)
    return []


def deliver(worker, stream, consumer, ended, handled):
    """Handles and acknowledges messages until it is told that all are handled."""
    while not ended.is_set():
        for identifier, message in next_messages(worker, stream, consumer):
            worker.xack(stream, GROUP, identifier)
            handled.append(message["messageId"])


@scenario("delivery: the group is made with its stream, once")
def make_group(tools):
    nodes, stream = [tools.connect() for _ in range(5)], tools.key("message-delivery-stream")
    missing = refusal(lambda: nodes[0].xgroup_create(stream, GROUP))
    assert missing.startswith("The XGROUP subcommand requires the key to exist"), missing
    with Background() as background:
        made = list(background.map(lambda node: open_group(node, stream), nodes))
    assert made.count(True) == 1, made
    assert nodes[0].type(stream) == "stream"
    assert nodes[0].xlen(stream) == 0
    assert nodes[0].xgroup_destroy(stream, GROUP) in (1, True)
    assert nodes[0].xgroup_destroy(stream, GROUP) in (0, False)
    assert nodes[0].xadd(tools.key("no stream"), message_of(1), nomkstream=True) is None


@scenario("delivery: messages keep their order and their fields")
def order(tools):
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    messages = [message_of(1), {"content": "", "a field": "x" * 100_000}, message_of(3)]
    ids = [client.xadd(stream, message) for message in messages]
    entries = list(zip(ids, messages))
    assert client.xlen(stream) == 3
    assert client.xrange(stream) == entries
    assert client.xrange(stream, min=f"({ids[0]}", count=1) == [entries[1]]
    assert client.xrevrange(stream, count=2) == [entries[2], entries[1]]
    assert entries_read(client.xread({stream: ids[0]})) == entries[1:]
    assert entries_read(client.xread({stream: ids[2]})) == []
    assert client.xdel(stream, ids[1], "1-1") == 1
    assert entries_read(client.xread({stream: "0"}, count=5)) == [entries[0], entries[2]]
    assert "equal or smaller than the target stream top item" in refusal(lambda: client.xadd(stream, message_of(4), id=ids[2]))
    client.set(stream, "no stream")
    assert "WRONGTYPE" in refusal(lambda: client.xadd(stream, message_of(4)))


@scenario("delivery: several streams are read at once")
def several_streams(tools):
    client, streams = tools.connect(), [tools.key(f"message-delivery-{shard}") for shard in range(3)]
    ids = [client.xadd(stream, message_of(0)) for stream in streams[:2]]
    reply = client.xread({stream: "0" for stream in streams})
    found = {name: entries[0] for name, entries in reply.items()} if isinstance(reply, dict) else dict(reply)
    assert found == {stream: [(identifier, message_of(0))] for stream, identifier in zip(streams, ids)}


@scenario("delivery: a waiting worker gets the message that comes")
def waiting_worker(tools):
    node, worker, stream = tools.connect(), named(tools), tools.key("message-delivery-stream")
    open_group(node, stream)
    with Background() as background:
        read = background.submit(read_group, worker, stream, "worker 1", block=LONG_WAIT_MS)
        until_waiting(node, worker, read)
        [identifier] = add_messages(node, stream, 1)
        assert read.result() == [(identifier, message_of(0))]
    pending = node.xpending(stream, GROUP)
    consumers = [{"name": "worker 1", "pending": 1}]
    assert pending == {"pending": 1, "min": identifier, "max": identifier, "consumers": consumers}, pending
    assert worker.xack(stream, GROUP, identifier) == 1
    assert worker.xack(stream, GROUP, identifier) == 0
    assert node.xpending(stream, GROUP) == {"pending": 0, "min": None, "max": None, "consumers": []}


@scenario("delivery: waiting ends after its time")
def timeout(tools):
    worker, stream = tools.connect(), tools.key("message-delivery-stream")
    open_group(worker, stream)
    started = time.monotonic()
    assert read_group(worker, stream, "worker", block=100) == []
    assert 0.09 < time.monotonic() - started < 1.5
    assert entries_read(worker.xread({stream: "$"}, block=10)) == []


@scenario("delivery: who reads without a group sees every message")
def fan_out(tools):
    node, stream = tools.connect(), tools.key("message-delivery-stream")
    add_messages(node, stream, 1)
    with Background() as background:
        reading = []
        for _ in range(3):
            reader = named(tools)
            reading.append(background.submit(reader.xread, {stream: "$"}, block=LONG_WAIT_MS))
            until_waiting(node, reader, reading[-1])
        identifier = node.xadd(stream, message_of(1))
        assert [entries_read(read.result()) for read in reading] == [[(identifier, message_of(1))]] * 3


@scenario("delivery: three workers handle every message once")
def workers(tools):
    nodes, stream = [tools.connect(), tools.connect()], tools.key("message-delivery-stream")
    open_group(nodes[0], stream)
    handled, ended = [], threading.Event()
    with Background() as background:
        working = [
            background.submit(deliver, tools.connect(), stream, consumer, ended, handled) for consumer in ("ann", "bob", "cem")
        ]
        for number in range(200):
            nodes[number % 2].xadd(stream, message_of(number))
        eventually("all are handled", lambda: len(handled) >= 200 or any(worker.done() for worker in working))
        ended.set()
        for worker in working:
            worker.result()
    assert sorted(handled) == sorted(f"m{number}" for number in range(200))
    assert nodes[0].xpending(stream, GROUP)["pending"] == 0


@scenario("delivery: who comes back finds what it had not acknowledged")
def history(tools):
    node, crashing, stream = tools.connect(), tools.connect(), tools.key("message-delivery-stream")
    open_group(node, stream)
    ids = add_messages(node, stream, 4)
    assert ids_of(read_group(crashing, stream, "worker", count=3)) == ids[:3]
    crashing.xack(stream, GROUP, ids[1])
    crashing.close()
    worker = tools.connect()
    assert ids_of(read_group(worker, stream, "worker", "0")) == [ids[0], ids[2]]
    assert worker.xack(stream, GROUP, ids[0], ids[2]) == 2
    assert read_group(worker, stream, "worker", "0") == []
    assert read_group(worker, stream, "worker") == [(ids[3], message_of(3))]


@scenario("delivery: without acknowledgement nothing is pending")
def no_acknowledgement(tools):
    worker, stream = tools.connect(), tools.key("message-delivery-stream")
    open_group(worker, stream)
    ids = add_messages(worker, stream, 2)
    assert ids_of(read_group(worker, stream, "worker", noack=True)) == ids
    assert worker.xpending(stream, GROUP)["pending"] == 0
    assert read_group(worker, stream, "worker") == []


@scenario("delivery: a waiting worker is told that its group is gone")
def group_gone(tools):
    node, worker, stream = tools.connect(), named(tools), tools.key("message-delivery-stream")
    open_group(node, stream)
    with Background() as background:
        told = background.submit(refusal, lambda: read_group(worker, stream, "worker", block=LONG_WAIT_MS))
        until_waiting(node, worker, told)
        node.xgroup_destroy(stream, GROUP)
        assert told.result().startswith("NOGROUP "), told.result()
    assert refusal(lambda: read_group(worker, stream, "worker")).startswith("NOGROUP No such key ")


@scenario("delivery: goes on after a restart of the server")
def restart(tools):
    server, stream = tools.own_server(), tools.key("message-delivery-stream")
    watcher, worker = tools.connect(), named(tools)
    open_group(watcher, stream)
    handled, ended = [], threading.Event()
    with Background() as background:
        working = background.submit(deliver, worker, stream, "worker", ended, handled)
        until_waiting(watcher, worker, working)
        server.kill()
        server.start()
        add_messages(tools.connect(), stream, 2)
        eventually("both are handled", lambda: len(handled) == 2 or working.done())
        ended.set()
        working.result()
    assert handled == ["m0", "m1"]


@scenario("stream info: what is in a stream")
def stream_told(tools):
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    assert refusal(lambda: client.xinfo_stream(stream)) == "no such key"
    ids = add_messages(client, stream, 3)
    client.xdel(stream, ids[0])
    told = client.xinfo_stream(stream)
    expected = {
        "length": 2, "groups": 0, "entries-added": 3, "last-generated-id": ids[2], "max-deleted-entry-id": ids[0],
        "recorded-first-entry-id": ids[1], "first-entry": (ids[1], message_of(1)), "last-entry": (ids[2], message_of(2)),
    }
    assert {name: told[name] for name in expected} == expected, told
    client.xdel(stream, *ids[1:])
    emptied = client.xinfo_stream(stream)
    assert (emptied["length"], emptied["last-generated-id"], emptied["first-entry"]) == (0, ids[2], None)


@scenario("stream info: how far a group is")
def group_told(tools):
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    open_group(client, stream)
    ids = add_messages(client, stream, 3)
    read_group(client, stream, "worker", count=2)
    client.xgroup_create(stream, "audit")
    audit, group = client.xinfo_groups(stream)
    assert group == {
        "name": GROUP, "consumers": 1, "pending": 2, "last-delivered-id": ids[1], "entries-read": 2, "lag": 1,
    }, group
    assert (audit["name"], audit["last-delivered-id"]) == ("audit", ids[2]), audit
    client.xgroup_setid(stream, "audit", ids[0])
    assert client.xinfo_groups(stream)[0]["last-delivered-id"] == ids[0]


@scenario("stream info: who works in a group")
def consumers_told(tools):
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    open_group(client, stream)
    identifier, _ = add_messages(client, stream, 2)
    read_group(client, stream, "ann")
    client.xack(stream, GROUP, identifier)
    assert client.xgroup_createconsumer(stream, GROUP, "bob") == 1
    time.sleep(0.03)
    ann, bob = client.xinfo_consumers(stream, GROUP)
    assert (ann["name"], ann["pending"], bob["name"], bob["pending"]) == ("ann", 1, "bob", 0)
    assert 30 <= ann["idle"] < 5000
    # Redis 7.0 does not know yet when somebody was last given a message.
    assert "inactive" not in ann or (ann["inactive"] >= 30 and bob["inactive"] == -1), (ann, bob)
    assert client.xgroup_delconsumer(stream, GROUP, "ann") == 1
    assert [consumer["name"] for consumer in client.xinfo_consumers(stream, GROUP)] == ["bob"]
    assert refusal(lambda: client.xinfo_consumers(stream, "nobody")).startswith("NOGROUP No such consumer group")


@scenario("stream info: everything at once")
def full(tools):
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    open_group(client, stream)
    ids = add_messages(client, stream, 3)
    read_group(client, stream, "ann", count=2)
    told = client.xinfo_stream(stream, full=True)
    assert told["length"] == 3 and told["entries"] == {identifier: message_of(number) for number, identifier in enumerate(ids)}
    [group] = told["groups"]
    assert (group["name"], group["pel-count"], group["lag"]) == (GROUP, 2, 1), group
    assert [(pending[0], pending[1], pending[3]) for pending in group["pending"]] == [(ids[0], "ann", 1), (ids[1], "ann", 1)]
    [ann] = group["consumers"]
    assert (ann["name"], ann["pel-count"], [pending[0] for pending in ann["pending"]]) == ("ann", 2, ids[:2]), ann
