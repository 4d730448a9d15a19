"""How a service is connected: an address in one URL, and what it asks in trouble."""

import sys
from urllib.parse import quote

import redis
from harness import TARGET, scenario

PROTOCOL = int(sys.argv[1])


@scenario("connection: everything in a URL")
def url(tools):
    other, session = tools.connect(), tools.key("session:token")
    user = f"{TARGET['username'] or ''}:{quote(TARGET['password'], safe='')}@" if TARGET["password"] else ""
    address = f"redis://{user}{TARGET['host']}:{TARGET['port']}/{TARGET['db']}"
    with redis.Redis.from_url(address, protocol=PROTOCOL) as client:
        client.set(session, "here", ex=60)
    assert other.get(session) == "here"


@scenario("connection: memory and the slow log, for who looks for trouble")
def trouble(tools):
    tools.own_server()
    client, session = tools.connect(), tools.key("session:slow")
    client.config_set("slowlog-log-slower-than", 0)
    client.set(session, "v", ex=60)
    client.config_set("slowlog-log-slower-than", 10_000)
    commands = [entry["command"].decode() for entry in client.slowlog_get(10)]
    assert f"SET {session} v EX 60" in commands, commands
    assert client.info("memory")["used_memory"] > 0
    assert client.ping()
