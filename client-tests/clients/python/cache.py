"""The caches of a chat backend: values with a time to live, counters that are forgotten, sets of who is online."""

import json

import redis
from harness import eventually, scenario

SESSION_SECONDS = 3600


@scenario("cache: what was read once is not made again")
def cache_aside(tools):
    first, second, session = tools.connect(), tools.connect(), tools.key("session:token")
    made = []

    def make():
        made.append("session")
        return {"user": "Zoë", "number": len(made)}

    assert get_or_set(first, session, make) == {"user": "Zoë", "number": 1}
    assert get_or_set(second, session, make) == {"user": "Zoë", "number": 1}
    assert second.ttl(session) == SESSION_SECONDS
    assert first.delete(session) == 1
    assert get_or_set(second, session, make) == {"user": "Zoë", "number": 2}


@scenario("cache: many at once, in the order asked for")
def many(tools):
    client = tools.connect()
    one, missing, three = (tools.key(f"chat:list:{name}") for name in ("one", "missing", "three"))
    client.set(one, "1", ex=600)
    client.set(three, "", ex=600)
    assert client.mget(three, missing, one, one) == ["", None, "1", "1"]
    assert client.delete(one, missing, three) == 2
    assert client.mget([one, three]) == [None, None]


@scenario("cache: all sessions of a user are found and deleted")
def delete_pattern(tools):
    client, prefix = tools.connect(), tools.key("session:user[1]")
    keys = sorted(tools.key(f"{prefix}:{number}") for number in range(300))
    kept = tools.key("session:user")
    client.mset({key: "v" for key in [*keys, kept]})
    pattern = prefix.replace("[", "\\[").replace("]", "\\]") + ":*"
    assert sorted(client.keys(pattern)) == keys
    assert sorted(set(client.scan_iter(pattern, count=50))) == keys
    assert client.delete(*client.scan_iter(pattern)) == len(keys)
    assert client.keys(pattern) == []
    assert client.get(kept) == "v"


@scenario("cache: attempts are counted and forgotten")
def rate_limit(tools):
    client, limit = tools.connect(), tools.key("ratelimit:login")
    assert [attempts_of(client, limit, 1) for _ in range(3)] == [1, 2, 3]
    assert client.pttl(limit) <= 1000
    eventually("they are forgotten", lambda: client.get(limit) is None)
    assert attempts_of(client, limit, 900) == 1
    assert client.ttl(limit) == 900


@scenario("cache: kept for good, or for moments")
def for_good(tools):
    client, status, typing = tools.connect(), tools.key("user:status"), tools.key("typing:chat:user")
    client.set(status, "online", ex=300)
    assert client.set(status, "away")
    assert client.ttl(status) == -1
    client.set(typing, "true", ex=5)
    assert client.ttl(typing) == 5
    client.set(typing, "true", px=50)
    eventually("nobody types", lambda: client.get(typing) is None)
    assert client.get(status) == "away"


@scenario("cache: who is online is a set")
def presence(tools):
    first, second, online = tools.connect(), tools.connect(), tools.key("user:online")
    assert first.smembers(online) == set()
    assert first.sadd(online, "ann", "bob", "ann") == 2
    assert second.sadd(online, "bob", "cem") == 1
    assert second.scard(online) == 3
    assert first.sismember(online, "cem") == 1
    assert first.srem(online, "cem", "nobody") == 1
    assert second.sismember(online, "cem") == 0
    assert second.smembers(online) == {"ann", "bob"}
    assert first.srem(online, "ann", "bob") == 2
    assert second.ttl(online) == -2
    first.set(online, "no set")
    try:
        raise AssertionError(f"SADD was answered {first.sadd(online, 'ann')}")
    except redis.ResponseError as error:
        assert "WRONGTYPE" in str(error)


def get_or_set(client, key, make):
    """Reads through the cache: what is not there is made, and kept for its time."""
    cached = client.get(key)
    if cached is not None:
        return json.loads(cached)
    made = make()
    client.set(key, json.dumps(made), ex=SESSION_SECONDS)
    return made


def attempts_of(client, key, seconds):
    """The time to live begins with the first attempt."""
    attempts = client.incr(key)
    if attempts == 1:
        client.expire(key, seconds)
    return attempts
