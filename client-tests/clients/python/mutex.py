"""A lock per conversation, so that two messages of one sender are never handled at once: SET key value EX seconds NX."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import redis
from harness import eventually, scenario

LOCK_SECONDS = 30


def release(client, key, value):
    """Releases only what is still ours: the lock may have expired and be somebody else's by now."""
    return client.get(key) == value and client.delete(key) == 1


@scenario("mutex: true for the first, None for the second")
def first_and_second(tools):
    first, second = tools.connect(), tools.connect()
    lock = tools.key("mutex:facebook:sender:recipient")
    assert first.set(lock, "first", ex=LOCK_SECONDS, nx=True) is True
    assert second.set(lock, "second", ex=LOCK_SECONDS, nx=True) is None
    assert second.get(lock) == "first"


@scenario("mutex: a fresh lock has its whole time to live")
def whole_time_to_live(tools):
    client, lock = tools.connect(), tools.key("mutex:ttl")
    client.set(lock, "v", ex=LOCK_SECONDS, nx=True)
    assert client.ttl(lock) == 30
    assert 29_000 < client.pttl(lock) <= 30_000


@scenario("mutex: NX before EX means the same")
def option_order(tools):
    client, lock = tools.connect(), tools.key("mutex:order")
    assert client.execute_command("SET", lock, "v", "NX", "EX", "30") is True
    assert client.execute_command("SET", lock, "w", "NX", "EX", "30") is None
    assert client.ttl(lock) == 30


@scenario("mutex: released by its owner, kept from a stranger")
def owner_releases(tools):
    client, lock = tools.connect(), tools.key("mutex:release")
    client.set(lock, "owner", ex=LOCK_SECONDS, nx=True)
    assert not release(client, lock, "stranger")
    assert client.set(lock, "early", ex=LOCK_SECONDS, nx=True) is None
    assert release(client, lock, "owner")
    assert not release(client, lock, "owner")
    assert client.set(lock, "next", ex=LOCK_SECONDS, nx=True) is True


@scenario("mutex: SETNX, then EXPIRE")
def setnx_then_expire(tools):
    client, lock = tools.connect(), tools.key("mutex:setnx")
    assert client.setnx(lock, "v") is True
    assert client.ttl(lock) == -1
    assert client.expire(lock, LOCK_SECONDS) is True
    assert client.ttl(lock) == 30
    assert client.setnx(lock, "w") is False
    assert client.delete(lock) == 1
    assert client.expire(lock, LOCK_SECONDS) is False
    assert client.ttl(lock) == -2


@scenario("mutex: an abandoned lock expires")
def abandoned_lock(tools):
    client = tools.connect()
    in_seconds, in_milliseconds = tools.key("mutex:expiry:ex"), tools.key("mutex:expiry:px")
    assert client.set(in_seconds, "gone", ex=1, nx=True) is True
    assert client.set(in_seconds, "next", ex=1, nx=True) is None
    assert client.set(in_milliseconds, "gone", px=400, nx=True) is True
    assert client.set(in_milliseconds, "next", px=400, nx=True) is None
    time.sleep(0.45)
    assert client.get(in_milliseconds) is None
    assert client.set(in_milliseconds, "next", px=5000, nx=True) is True
    eventually("the lock of one second is free", lambda: client.set(in_seconds, "next", ex=30, nx=True))


@scenario("mutex: a holder that comes too late releases nothing")
def late_holder(tools):
    slow, quick = tools.connect(), tools.connect()
    lock = tools.key("mutex:late")
    slow.set(lock, "slow", px=50, nx=True)
    time.sleep(0.08)
    assert quick.set(lock, "quick", ex=LOCK_SECONDS, nx=True) is True
    assert not release(slow, lock, "slow")
    assert slow.get(lock) == "quick"


@scenario("mutex: of twenty at once one wins")
def burst(tools):
    clients = [tools.connect() for _ in range(20)]
    lock = tools.key("mutex:burst")
    together = threading.Barrier(len(clients))

    def ask(number):
        together.wait()
        return clients[number].set(lock, number, ex=LOCK_SECONDS, nx=True)

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(ask, range(len(clients))))
    assert answers.count(True) == 1 and answers.count(None) == 19, answers
    assert clients[0].get(lock) == str(answers.index(True))


@scenario("mutex: never two holders among eight workers")
def workers(tools):
    lock = tools.key("mutex:workers")
    counting = threading.Lock()
    seen = {"holders": 0, "most": 0, "sections": 0}

    def hold(client, value):
        eventually("the lock is mine", lambda: client.set(lock, value, ex=LOCK_SECONDS, nx=True))
        with counting:
            seen["holders"] += 1
            seen["most"] = max(seen["most"], seen["holders"])
        time.sleep(0.003)
        with counting:
            seen["holders"] -= 1
            seen["sections"] += 1
        assert release(client, lock, value)

    def work(number):
        client = tools.connect()
        for turn in range(3):
            hold(client, f"worker {number} turn {turn}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert seen == {"holders": 0, "most": 1, "sections": 24}, seen


@scenario("mutex: a wrong SET is refused and the connection goes on")
def wrong_set(tools):
    client, lock = tools.connect(), tools.key("mutex:wrong")
    for words, error in [
        (("EX", "0", "NX"), "invalid expire time in 'set' command"),
        (("NX", "XX"), "syntax error"),
        (("EX", "soon"), "value is not an integer or out of range"),
    ]:
        try:
            answer = client.execute_command("SET", lock, "v", *words)
            raise AssertionError(f"SET {words} was answered {answer}")
        except redis.ResponseError as refused:
            assert str(refused) == error, refused
    assert client.get(lock) is None
    assert client.set(lock, "v", ex=LOCK_SECONDS, nx=True) is True
