"""The channels of a chat backend: several nodes subscribe, any of them publishes, and each sees all messages in their order."""

import json
import time

from harness import OTHER_DB, eventually, scenario

LARGE_BYTES = 3 << 20


@scenario("channels: a message reaches every node")
def every_node(tools):
    publisher, channel = tools.connect(), tools.key("message:new")
    assert publisher.publish(channel, "nobody listens") == 0
    nodes = [listen(tools.connect(), channel) for _ in range(5)]
    message = json.dumps({"messageId": "m1", "content": "Grüße, 世界 👋"}, ensure_ascii=False)
    assert publisher.publish(channel, message) == 5
    assert all(next_messages(node, 1) == [(channel, message)] for node in nodes)


@scenario("channels: messages keep their order")
def order(tools):
    names = [tools.key("typing:start"), tools.key("typing:stop")]
    node, publisher = listen(tools.connect(), *names), tools.connect()
    sent = [(names[number % 2], str(number)) for number in range(1000)]
    pipeline = publisher.pipeline(transaction=False)
    for channel, message in sent:
        pipeline.publish(channel, message)
    assert pipeline.execute() == [1] * 1000
    assert next_messages(node, 1000) == sent


@scenario("channels: a large message and an empty one")
def large_and_empty(tools):
    channel = tools.key("message:new")
    node, publisher = listen(tools.connect(), channel), tools.connect()
    publisher.publish(channel, "x" * LARGE_BYTES)
    publisher.publish(channel, "")
    large, empty = next_messages(node, 2)
    assert len(large[1]) == LARGE_BYTES and empty == (channel, "")


@scenario("channels: any bytes arrive as they were sent")
def any_bytes(tools):
    channel = tools.key("message:binary")
    node, publisher = listen(tools.connect(decode_responses=False), channel), tools.connect()
    sent = [bytes(range(256)), b"\r\n$-1\r\n", bytes(range(256)) * (LARGE_BYTES // 256)]
    for message in sent:
        publisher.publish(channel, message)
    assert [message for _, message in next_messages(node, 3)] == sent


@scenario("channels: nothing comes after unsubscribing")
def unsubscribing(tools):
    edited, deleted = tools.key("message:edit"), tools.key("message:delete")
    node, publisher = listen(tools.connect(), edited, deleted), tools.connect()
    node.unsubscribe(edited)
    assert node.get_message(timeout=5)["type"] == "unsubscribe"
    assert publisher.publish(edited, "unseen") == 0
    assert publisher.publish(deleted, "seen") == 1
    assert next_messages(node, 1) == [(deleted, "seen")]
    node.unsubscribe()
    assert node.get_message(timeout=5)["type"] == "unsubscribe"
    assert publisher.publish(deleted, "unseen") == 0


@scenario("channels: a pattern brings messages of many channels")
def patterns(tools):
    publisher, prefix = tools.connect(), tools.key("message")
    node = listen(tools.connect(), f"{prefix}:new")
    node.psubscribe(f"{prefix}:*", f"{prefix}:ne[vw]")
    assert [node.get_message(timeout=5)["type"] for _ in range(2)] == ["psubscribe"] * 2
    assert publisher.publish(f"{prefix}:edit", "one") == 1
    assert publisher.publish(f"{prefix}:new", "three") == 3
    assert publisher.publish(prefix, "none") == 0
    seen = [node.get_message(timeout=5) for _ in range(4)]
    assert {(message["type"], message["pattern"], message["data"]) for message in seen} == {
        ("pmessage", f"{prefix}:*", "one"),
        ("message", None, "three"),
        ("pmessage", f"{prefix}:*", "three"),
        ("pmessage", f"{prefix}:ne[vw]", "three"),
    }, seen
    assert publisher.pubsub_numpat() >= 2
    node.punsubscribe(f"{prefix}:*")
    assert node.get_message(timeout=5)["type"] == "punsubscribe"
    assert publisher.publish(f"{prefix}:new", "two") == 2


@scenario("channels: sharded ones are apart from the others")
def sharded(tools):
    publisher, channel = tools.connect(), tools.key("{chat}:update")
    plain, node = listen(tools.connect(), channel), tools.connect().pubsub()
    node.ssubscribe(channel)
    assert node.get_message(timeout=5)["type"] == "ssubscribe"
    assert publisher.spublish(channel, "sharded") == 1
    assert publisher.publish(channel, "plain") == 1
    seen = node.get_message(timeout=5)
    assert (seen["type"], seen["channel"], seen["data"]) == ("smessage", channel, "sharded")
    assert next_messages(plain, 1) == [(channel, "plain")]
    assert channel in publisher.pubsub_shardchannels()
    assert publisher.pubsub_shardnumsub(channel) == [(channel, 1)]
    node.sunsubscribe(channel)
    assert node.get_message(timeout=5)["type"] == "sunsubscribe"
    assert publisher.spublish(channel, "unseen") == 0


@scenario("channels: the same for all databases")
def databases(tools):
    channel = tools.key("user:status")
    node, publisher = listen(tools.connect(), channel), tools.connect(db=OTHER_DB)
    assert publisher.publish(channel, "online") == 1
    assert next_messages(node, 1) == [(channel, "online")]


@scenario("channels: who listens can be asked")
def who_listens(tools):
    both, one, none = tools.key("ask:both"), tools.key("ask:one"), tools.key("ask:none")
    first, _second, asker = listen(tools.connect(), both, one), listen(tools.connect(), both), tools.connect()
    assert asker.pubsub_channels(f"{one}*") == [one]
    assert {both, one} <= set(asker.pubsub_channels()) and none not in asker.pubsub_channels()
    assert asker.pubsub_numsub(both, one, none) == [(both, 2), (one, 1), (none, 0)]
    first.close()
    eventually("the first is counted no more", lambda: asker.publish(both, "m") == 1)
    assert asker.pubsub_channels(f"{one}*") == []


def listen(client, *channels):
    """A subscriber whose subscriptions the server has confirmed."""
    pubsub = client.pubsub()
    pubsub.subscribe(*channels)
    for _ in channels:
        confirmed = pubsub.get_message(timeout=5)
        assert confirmed and confirmed["type"] == "subscribe", confirmed
    return pubsub


def next_messages(pubsub, count):
    """Channel and data of the next messages."""
    messages = []
    deadline = time.monotonic() + 10
    while len(messages) < count and time.monotonic() < deadline:
        message = pubsub.get_message(timeout=1)
        if message:
            name = message["channel"]
            messages.append((name if isinstance(name, str) else name.decode(), message["data"]))
    return messages
