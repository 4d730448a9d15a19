"""What only a client with RESP2 meets: a connection that listens takes few commands, and answers PING in another way."""

import redis
from channels import listen, next_messages
from harness import scenario


@scenario("channels: with RESP2 a listening connection refuses other commands")
def refused_while_listening(tools):
    channel = tools.key("chat:update")
    node, publisher = listen(tools.connect(), channel), tools.connect()
    node.execute_command("GET", channel)
    try:
        raise AssertionError(f"GET was answered {node.get_message(timeout=5)}")
    except redis.ResponseError as refused:
        allowed = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        assert str(refused) == f"Can't execute 'get': {allowed}", refused
    assert publisher.publish(channel, "hello") == 1
    assert next_messages(node, 1) == [(channel, "hello")]


@scenario("channels: a subscriber asks whether it is still connected")
def ping(tools):
    channel = tools.key("chat:update")
    node, publisher = listen(tools.connect(), channel), tools.connect()
    node.ping("are you there")
    publisher.publish(channel, "hello")
    seen = [node.get_message(timeout=5) for _ in range(2)]
    assert [(message["type"], message["data"]) for message in seen] == [("pong", "are you there"), ("message", "hello")], seen


@scenario("script: RESP3's types in RESP2's words")
def typed_replies(tools):
    client = tools.connect()
    assert client.eval("return {double = 1.5}", 0) == "1.5"
    assert client.eval("return {map = {ann = {double = 0.25}}}", 0) == ["ann", "0.25"]
    assert client.eval("return {set = {ann = true}}", 0) == ["ann"]
    assert client.eval("redis.setresp(3) return true", 0) == 1
    assert client.eval("redis.setresp(3) return false", 0) in (0, None)
    assert client.eval("return {big_number = '12345678901234567890'}", 0) == "12345678901234567890"
