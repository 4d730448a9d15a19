"""What a client has with RESP3 alone: commands on a connection that listens, and copies that the server takes back."""

import redis
from harness import Skip, eventually, scenario
from redis.cache import CacheConfig


@scenario("channels: with RESP3 a listening node goes on with commands")
def commands_while_listening(tools):
    channel, counter = tools.key("chat:update"), tools.key("message:count")
    seen = []
    node, publisher = tools.connect().pubsub(push_handler_func=seen.append), tools.connect()
    node.subscribe(channel)
    counts = []
    for number in range(50):
        # The first publish comes before the subscription, or after it: nobody has read its confirmation yet.
        publisher.publish(channel, number)
        node.connection.send_command("INCR", counter)
        counts.append(node.connection.read_response())
    assert counts == list(range(1, 51))
    messages = [push[2] for push in seen if push[0] == "message"]
    assert messages in ([str(number) for number in range(50)], [str(number) for number in range(1, 50)]), seen


@scenario("cache: a copy in the client goes when somebody else writes")
def copies(tools):
    reader, writer, status = keeping_copies(tools), tools.connect(), tools.key("user:status")
    writer.set(status, "online")
    assert [reader.get(status) for _ in range(3)] == ["online"] * 3
    assert reader.get_cache().size == 1
    writer.set(status, "away")
    eventually("the new value is read", lambda: reader.get(status) == "away")
    writer.delete(status)
    eventually("its end is seen", lambda: reader.get(status) is None)


@scenario("cache: copies do not outlive the connection")
def copies_after_restart(tools):
    server, status = tools.own_server(), tools.key("user:status")
    reader = keeping_copies(tools)
    reader.set(status, "online")
    assert [reader.get(status) for _ in range(2)] == ["online"] * 2
    server.kill()
    server.start()
    eventually("the value is gone with the server", lambda: reader.get(status) is None)


def keeping_copies(tools):
    """The library looks at the server's name and version first, and keeps no copies of what other servers hold."""
    reader = tools.connect(cache_config=CacheConfig())
    try:
        reader.ping()
    except redis.ConnectionError as refused:
        if "client-side caching is supported by" in str(refused):
            raise Skip("redis-py keeps copies on Redis 7.4 and later alone") from refused
        raise
    return reader


@scenario("script: maps, numbers and booleans as they are")
def typed_replies(tools):
    client, online = tools.connect(), tools.key("user:online")
    assert client.eval("return {double = 1.5}", 0) == 1.5
    assert client.eval("return {map = {ann = 1, bob = {double = 0.25}}}", 0) == {"ann": 1, "bob": 0.25}
    assert client.eval("redis.setresp(3) return true", 0) is True
    assert client.eval("redis.setresp(3) return false", 0) is False
    assert client.eval("return true", 0) == 1
    assert client.eval("return {big_number = '12345678901234567890'}", 0) == 12345678901234567890
    client.sadd(online, "ann", "bob")
    assert set(client.eval("redis.setresp(3) return redis.call('SMEMBERS', KEYS[1])", 1, online)) == {"ann", "bob"}
