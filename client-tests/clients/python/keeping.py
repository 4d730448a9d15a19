"""Servers that keep their data: what a service finds again after its server was stopped, updated, or crashed. And servers whose
memory is limited. Clients connect once, and find back by themselves."""

import time

import redis
from channels import listen
from delivery import GROUP, add_messages, ids_of, message_of, open_group, read_group
from harness import eventually, scenario
from jobs import Background, refusal, work

JOURNAL = "--appendonly yes --appendfsync everysec --save 60 1000"
SNAPSHOTS = "--save 3600 1000000"
LEAST_RECENTLY_USED = f"{JOURNAL} --maxmemory 16mb --maxmemory-policy allkeys-lru"

# A crash may cost what is younger, and the file's sync takes its time as well.
SYNCED_SECONDS = 1.5
# By how much idle times may be wrong.
LRU_CLOCK_SECONDS = 1

HOUR_SECONDS = 3600
SESSION = "x" * 4_000


def numbered(count, word):
    return [f"{word} {number}" for number in range(count)]


def restart(server, end, *clients):
    """A restart, with clients that were connected before it."""
    end()
    server.start()
    for client in clients:
        eventually("it is back", lambda client=client: is_back(client))


def is_back(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


def set_all(client, keys):
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.set(key, SESSION, ex=HOUR_SECONDS)
        pipeline.execute()


def count_of(client, keys):
    return sum(value is not None for value in client.mget(keys))


@scenario("queue kept: jobs and what became of them, when the server is stopped")
def stopped(tools):
    server = tools.keeping_server(JOURNAL)
    producer, worker = tools.connect(port=server.port), tools.connect(port=server.port)
    producer.lpush("jobs:waiting", *numbered(10, "job"))
    assert worker.rpop("jobs:waiting") == "job 0"
    assert worker.lmove("jobs:waiting", "jobs:in_work", "RIGHT", "LEFT") == "job 1"
    worker.set("job:0", "COMPLETED", ex=HOUR_SECONDS)
    restart(server, server.stop, producer, worker)
    assert producer.lrange("jobs:waiting", 0, -1) == numbered(10, "job")[:1:-1]
    assert producer.lrange("jobs:in_work", 0, -1) == ["job 1"]
    assert producer.get("job:0") == "COMPLETED"
    assert producer.lpush("jobs:waiting", "job 10") == 9
    assert worker.rpop("jobs:waiting") == "job 2"


@scenario("queue kept: a worker that waits gets the jobs that a crash has left")
def left_by_crash(tools):
    server = tools.keeping_server(JOURNAL)
    producer, worker = tools.connect(port=server.port), tools.connect(port=server.port)
    producer.lpush("jobs:later", *numbered(20, "job"))
    time.sleep(SYNCED_SECONDS)
    with Background() as background:
        working = background.submit(work, worker, "jobs:now")
        restart(server, server.kill, producer)
        for _ in range(20):
            producer.rpoplpush("jobs:later", "jobs:now")
        producer.lpush("jobs:now", "stop")
        assert working.result() == numbered(20, "job")


@scenario("queue kept: a crash costs the last second at most")
def last_second(tools):
    server = tools.keeping_server(JOURNAL)
    producer, reader = tools.connect(port=server.port), tools.connect(port=server.port)
    with Background() as background:
        pushing = background.submit(push_until_refused, producer, "jobs")
        time.sleep(SYNCED_SECONDS + 0.5)
        crashed = time.monotonic()
        server.kill()
        pushed = pushing.result()
    restart(server, server.start, reader)
    kept = reader.lrange("jobs", 0, -1)
    assert kept == numbered(len(kept), "job")
    synced = sum(moment < crashed - SYNCED_SECONDS for moment in pushed)
    assert 0 < synced <= len(kept), f"{len(kept)} of {len(pushed)} are kept, {synced} had to be"


def push_until_refused(producer, queue):
    """Pushes jobs one after the other; when each was in the queue."""
    pushed = []
    while True:
        try:
            producer.rpush(queue, f"job {len(pushed)}")
        except redis.ConnectionError:
            return pushed
        pushed.append(time.monotonic())


@scenario("queue kept: who watches hears of jobs again after a restart")
def watching(tools):
    server = tools.keeping_server(JOURNAL)
    worker, watcher = tools.connect(port=server.port), listen(tools.connect(port=server.port), "job_updates")
    worker.lpush("jobs", "job 1")
    restart(server, server.stop, worker)

    def published():
        # The library connects again when it looks for messages, and not before.
        watcher.get_message(timeout=0.01)
        return worker.publish("job_updates", "restarted") == 1

    eventually("somebody watches again", published)
    assert worker.rpop("jobs") == "job 1"


@scenario("chat kept: sessions, counters, who is online and locks, for their time")
def for_their_time(tools):
    server = tools.keeping_server(JOURNAL)
    client = tools.connect(port=server.port)
    client.set("session:ann", '{"user":"Zoë"}', ex=HOUR_SECONDS)
    client.set("typing:ann", "1", px=100)
    assert client.set("lock:import", "holder 1", ex=30, nx=True)
    client.set("user:status", "away")
    for _ in range(3):
        client.incr("chat:unread")
    client.expire("chat:unread", 900)
    client.sadd("user:online", "ann", "bob", "cem")
    client.srem("user:online", "bob")
    server.stop()
    time.sleep(1.1)
    restart(server, server.start, client)
    assert client.mget("session:ann", "typing:ann", "user:status") == ['{"user":"Zoë"}', None, "away"]
    assert HOUR_SECONDS - 15 <= client.ttl("session:ann") < HOUR_SECONDS
    assert client.ttl("user:status") == -1
    assert client.set("lock:import", "holder 2", ex=30, nx=True) is None
    assert client.get("lock:import") == "holder 1"
    assert client.incr("chat:unread") == 4
    assert client.ttl("chat:unread") > 0
    assert set(client.smembers("user:online")) == {"ann", "cem"}


@scenario("chat kept: messages, and who still has which to handle")
def pending_messages(tools):
    server, stream = tools.keeping_server(JOURNAL), "message-delivery-stream"
    client = tools.connect(port=server.port)
    open_group(client, stream)
    ids = add_messages(client, stream, 6)
    assert ids_of(read_group(client, stream, "ann", count=3)) == ids[:3]
    assert ids_of(read_group(client, stream, "bob", count=1)) == [ids[3]]
    assert client.xack(stream, GROUP, ids[1]) == 1
    assert client.xdel(stream, ids[5]) == 1
    consumers = [{"name": "ann", "pending": 2}, {"name": "bob", "pending": 1}]
    for end, seconds in ((server.stop, 0), (server.kill, SYNCED_SECONDS)):
        time.sleep(seconds)
        restart(server, end, client)
        pending = client.xpending(stream, GROUP)
        assert pending == {"pending": 3, "min": ids[0], "max": ids[3], "consumers": consumers}, pending
    again = read_group(client, stream, "ann", "0")
    assert again == [(ids[number], message_of(number)) for number in (0, 2)]
    assert ids_of(read_group(client, stream, "ann")) == [ids[4]]
    assert "equal or smaller than the target stream top item" in refusal(lambda: client.xadd(stream, message_of(6), id=ids[5]))


@scenario("chat kept: messages that came while the journal was rewritten")
def rewritten(tools):
    server = tools.keeping_server(JOURNAL)
    client, node = tools.connect(port=server.port), tools.connect(port=server.port)
    set_all(client, numbered(500, "session"))
    with Background() as background:
        adding = background.submit(add_messages, node, "messages", 300)
        client.bgrewriteaof()
        ids = adding.result()
    eventually("it is rewritten", lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
    assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"
    restart(server, server.stop, client)
    assert ids_of(client.xrange("messages")) == ids
    assert count_of(client, numbered(500, "session")) == 500


@scenario("chat kept: a snapshot without a journal")
def snapshot(tools):
    server = tools.keeping_server(SNAPSHOTS)
    client = tools.connect(port=server.port)
    client.set("before", "1")
    [identifier] = add_messages(client, "messages", 1)
    assert client.bgsave()
    eventually("it is saved", lambda: client.info("persistence")["rdb_bgsave_in_progress"] == 0)
    client.set("after", "1")
    assert client.info("persistence")["rdb_changes_since_last_save"] == 1
    restart(server, server.kill, client)
    assert client.mget("before", "after") == ["1", None]
    assert ids_of(client.xrange("messages")) == [identifier]
    client.set("after", "2")
    restart(server, server.stop, client)
    assert client.mget("before", "after") == ["1", "2"]


@scenario("full memory: what was not used for longest makes room")
def eviction(tools):
    server = tools.keeping_server(LEAST_RECENTLY_USED)
    client = tools.connect(port=server.port)
    old, used = numbered(1400, "session:old"), numbered(100, "session:used")
    set_all(client, [*old, *used])
    time.sleep(2 * LRU_CLOCK_SECONDS + 0.1)
    assert count_of(client, used) == 100
    for batch in range(50):
        if client.info("stats")["evicted_keys"] >= 300:
            break
        set_all(client, numbered(100, f"session:new:{batch}"))
    assert client.info("stats")["evicted_keys"] >= 300
    memory = client.info("memory")
    assert memory["used_memory"] <= memory["maxmemory"] * 1.02, memory["used_memory"]
    assert count_of(client, used) >= 95
    kept_old = count_of(client, old)
    restart(server, server.stop, client)
    assert count_of(client, old) <= kept_old
    assert count_of(client, used) >= 90


@scenario("full memory: without eviction writes are refused, and reads go on")
def no_eviction(tools):
    server = tools.keeping_server(JOURNAL)
    client = tools.connect(port=server.port)
    client.set("first", "here")
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 1_000_000)
    refused = refusal(lambda: set_all(client, numbered(1000, "session")))
    assert "command not allowed when used memory > 'maxmemory'" in refused, refused
    assert client.get("first") == "here"
    kept = client.keys("session*")
    assert client.delete(*kept) == len(kept)
    assert client.lpush("jobs", "job") == 1
