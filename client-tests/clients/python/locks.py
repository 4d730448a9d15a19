"""redis-py's own lock: a token under a name, compared by scripts before it is released, extended or taken again."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from harness import eventually, scenario
from redis.exceptions import LockError, LockNotOwnedError

LOCK_SECONDS = 30


def refused(error, call, *words, **settings):
    """The text of the error that a call has to raise, which is of this kind alone."""
    try:
        answer = call(*words, **settings)
    except error as refusal:
        assert type(refusal) is error, refusal
        return str(refusal)
    raise AssertionError(f"answered {answer}")


@scenario("lock: held by one, refused to the next, free after the release")
def held_by_one(tools):
    name = tools.key("lock:import")
    first, second = (tools.connect().lock(name, timeout=LOCK_SECONDS) for _ in range(2))
    assert first.acquire() is True
    assert second.acquire(blocking=False) is False
    assert (first.locked(), first.owned(), second.locked(), second.owned()) == (True, True, True, False)
    first.release()
    assert first.locked() is False
    assert second.acquire(blocking=False) is True
    second.release()


@scenario("lock: waits as long as it is told to")
def blocking_timeout(tools):
    name = tools.key("lock:waiting")
    holder, waiter = (tools.connect().lock(name, timeout=LOCK_SECONDS, sleep=0.01) for _ in range(2))
    holder.acquire()
    started = time.monotonic()
    assert waiter.acquire(blocking_timeout=0.1) is False
    assert 0.05 < time.monotonic() - started < 1
    releasing = threading.Timer(0.05, holder.do_release, [holder.local.token])
    releasing.start()
    assert waiter.acquire(blocking_timeout=5) is True
    waiter.release()
    releasing.join()


@scenario("lock: around some work, also where the work fails")
def context_manager(tools):
    client, name = tools.connect(), tools.key("lock:work")
    with client.lock(name, timeout=LOCK_SECONDS) as lock:
        assert lock.owned()
        inner = client.lock(name, timeout=LOCK_SECONDS, blocking_timeout=0.01, sleep=0.005)
        assert "Unable to acquire lock" in refused(LockError, inner.__enter__)
    assert not client.exists(name)
    try:
        with client.lock(name, timeout=LOCK_SECONDS):
            raise ValueError("no customers")
    except ValueError:
        pass
    assert not client.exists(name)


@scenario("lock: its time is added to, replaced and begun anew")
def extend(tools):
    client, name = tools.connect(), tools.key("lock:extended")
    lock = client.lock(name, timeout=10)
    lock.acquire()
    assert 9000 < client.pttl(name) <= 10_000
    assert lock.extend(5) is True
    assert 14_000 < client.pttl(name) <= 15_000
    assert lock.extend(2.5, replace_ttl=True) is True
    assert 1500 < client.pttl(name) <= 2500
    assert lock.reacquire() is True
    assert 9000 < client.pttl(name) <= 10_000
    lock.release()


@scenario("lock: what is no longer ours is neither extended nor released")
def not_owned(tools):
    client, name = tools.connect(), tools.key("lock:stolen")
    lock = client.lock(name, timeout=LOCK_SECONDS)
    lock.acquire()
    client.set(name, "mine", ex=LOCK_SECONDS)
    assert refused(LockNotOwnedError, lock.extend, 60) == "Cannot extend a lock that's no longer owned"
    assert refused(LockNotOwnedError, lock.reacquire) == "Cannot reacquire a lock that's no longer owned"
    assert refused(LockNotOwnedError, lock.release) == "Cannot release a lock that's no longer owned"
    assert client.get(name) == "mine" and client.ttl(name) <= LOCK_SECONDS
    assert "not owned or is already unlocked" in refused(LockError, lock.release)


@scenario("lock: an abandoned one is taken over when it has expired")
def abandoned(tools):
    name = tools.key("lock:abandoned")
    slow, quick = tools.connect().lock(name, timeout=0.06), tools.connect().lock(name, timeout=LOCK_SECONDS, sleep=0.01)
    slow.acquire()
    assert quick.acquire(blocking=False) is False
    assert quick.acquire(blocking_timeout=5) is True
    refused(LockNotOwnedError, slow.release)
    assert quick.owned()
    quick.release()


@scenario("lock: without a time to live it stays")
def without_timeout(tools):
    client, name = tools.connect(), tools.key("lock:forever")
    lock = client.lock(name)
    lock.acquire()
    assert client.ttl(name) == -1
    assert refused(LockError, lock.extend, 10) == "Cannot extend a lock with no timeout"
    lock.release()


@scenario("lock: a thread knows its own token alone")
def thread_local(tools):
    client = tools.connect()
    own = client.lock(tools.key("lock:thread"), timeout=0.05, sleep=0.01)
    shared = client.lock(tools.key("lock:shared"), timeout=LOCK_SECONDS, thread_local=False)
    own.acquire()
    shared.acquire(token="token of the batch")
    assert client.get(shared.name) == "token of the batch"
    with ThreadPoolExecutor(1) as other_thread:
        # When the lock has expired the other thread has it, which the first may not release.
        assert other_thread.submit(own.acquire, token="token of the other").result() is True
        client.expire(own.name, LOCK_SECONDS)
        assert "no longer owned" in refused(LockNotOwnedError, own.release)
        assert client.get(own.name) == "token of the other"
        for lock in (own, shared):
            other_thread.submit(lock.release).result()
            assert not lock.locked()


@scenario("lock: never two holders among six threads")
def workers(tools):
    name, counting = tools.key("lock:workers"), threading.Lock()
    seen = {"holders": 0, "most": 0, "sections": 0}

    def work(client):
        for _ in range(4):
            with client.lock(name, timeout=LOCK_SECONDS, sleep=0.002, blocking_timeout=5):
                with counting:
                    seen["holders"] += 1
                    seen["most"] = max(seen["most"], seen["holders"])
                time.sleep(0.001)
                with counting:
                    seen["holders"] -= 1
                    seen["sections"] += 1

    clients = [tools.connect() for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(work, clients))
    assert seen == {"holders": 0, "most": 1, "sections": 24}, seen


@scenario("lock: goes on when the server has forgotten the scripts")
def forgotten_scripts(tools):
    server = tools.own_server()
    client, name = tools.connect(), tools.key("lock:flushed")
    lock = client.lock(name, timeout=LOCK_SECONDS)
    lock.acquire()
    for step in (lambda: lock.extend(60), lock.reacquire, lock.release):
        client.script_flush()
        step()
    assert not client.exists(name)
    lock.acquire()
    server.kill()
    server.start()
    eventually("the server is back", client.ping)
    assert refused(LockNotOwnedError, lock.release)
