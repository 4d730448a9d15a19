"""A job queue: producers LPUSH ids, workers BRPOP them, and what becomes of a job is a key and a message for whoever watches."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import redis
from channels import listen, next_messages
from harness import eventually, scenario
from redis.backoff import NoBackoff
from redis.retry import Retry

STATUS_SECONDS = 3600
LONG_WAIT_SECONDS = 4


@scenario("queue: jobs come out in the order they went in")
def in_order(tools):
    producer, worker = tools.connect(), tools.connect()
    queue = tools.key("job_queue")
    assert producer.lpush(queue, "job 1") == 1
    assert producer.lpush(queue, "job 2", "job 3", "job 4") == 4
    assert producer.llen(queue) == 4
    assert producer.lrange(queue, 0, -1) == ["job 4", "job 3", "job 2", "job 1"]
    assert worker.rpop(queue) == "job 1"
    assert worker.rpop(queue, 10) == ["job 2", "job 3", "job 4"]
    assert worker.rpop(queue, 10) is None and worker.rpop(queue) is None
    assert producer.llen(queue) == 0


@scenario("queue: what is pushed in front is next, and cleared is cleared")
def front_and_clear(tools):
    client, queue = tools.connect(), tools.key("job_queue")
    client.lpush(queue, *numbered(5))
    assert client.rpush(queue, "again") == 6
    assert client.rpop(queue) == "again"
    assert client.lpop(queue) == "job 4"
    assert client.delete(queue) == 1
    assert client.lrange(queue, 0, -1) == []
    client.set(queue, "no list")
    assert "WRONGTYPE" in refusal(lambda: client.lpush(queue, "job"))


@scenario("queue: a job is kept until it is done")
def reliable(tools):
    producer, first, second = tools.connect(), tools.connect(), tools.connect()
    waiting, in_work = tools.key("jobs:waiting"), tools.key("jobs:in_work")
    producer.lpush(waiting, "job 1", "job 2")
    assert first.lmove(waiting, in_work, "RIGHT", "LEFT") == "job 1"
    assert first.rpoplpush(waiting, in_work) == "job 2"
    assert first.rpoplpush(waiting, in_work) is None
    assert producer.lrange(in_work, 0, -1) == ["job 2", "job 1"]
    assert first.lrem(in_work, 1, "job 1") == 1
    assert first.lrem(in_work, 1, "job 1") == 0
    # The first worker ends with a job unfinished, and the second puts it back where it is next.
    first.close()
    assert second.lmove(in_work, waiting, "LEFT", "RIGHT") == "job 2"
    assert second.rpop(waiting) == "job 2"
    assert producer.llen(in_work) == 0


@scenario("queue: a status is kept for who asks and sent to who watches")
def status(tools):
    worker, asker = tools.connect(), tools.connect()
    channel, status_key = tools.key("job_updates"), tools.key("job:status")
    watcher = listen(tools.connect(), channel)
    updates = [{"tenantId": "tenant 1", "jobId": "job 1", "status": status, "error": None} for status in ("RUNNING", "COMPLETED")]
    for update in updates:
        worker.set(status_key, json.dumps(update), ex=STATUS_SECONDS)
        assert worker.publish(channel, json.dumps(update)) == 1
    assert [json.loads(message) for _, message in next_messages(watcher, 2)] == updates
    assert json.loads(asker.get(status_key)) == updates[-1]
    assert asker.ttl(status_key) == STATUS_SECONDS


@scenario("queue: updates go on after a restart of the server")
def updates_after_restart(tools):
    server, channel = tools.own_server(), tools.key("job_updates")
    watcher = listen(tools.connect(), channel)
    server.kill()
    server.start()
    worker = tools.connect()

    def published():
        # The library connects again when it looks for messages, and not before.
        watcher.get_message(timeout=0.01)
        return worker.publish(channel, "COMPLETED") == 1

    eventually("somebody watches again", published)
    assert ("message", "COMPLETED") in [next_of_any_kind(watcher) for _ in range(2)]


@scenario("queue: a waiting worker gets the job that comes")
def waiting_worker(tools):
    producer, worker, queue = tools.connect(), named(tools), tools.key("job_queue")
    with Background() as background:
        popped = background.submit(worker.brpop, [queue], LONG_WAIT_SECONDS)
        until_waiting(producer, worker, popped)
        assert producer.lpush(queue, "job 1", "job 2") == 2
        assert pair(popped.result()) == (queue, "job 1")
    assert pair(worker.blpop([queue], LONG_WAIT_SECONDS)) == (queue, "job 2")
    assert producer.llen(queue) == 0


@scenario("queue: waiting ends after a fraction of a second")
def fraction(tools):
    worker, queue = tools.connect(), tools.key("job_queue")
    started = time.monotonic()
    assert worker.brpop([queue], 0.2) is None
    assert 0.18 < time.monotonic() - started < 1.5
    assert worker.blmove(queue, queue, 0.05, "RIGHT", "LEFT") is None
    worker.lpush(queue, "job")
    assert pair(worker.blpop([queue], 0.2)) == (queue, "job")


@scenario("queue: urgent jobs come first")
def priorities(tools):
    producer, worker = tools.connect(), named(tools)
    queues = high, normal, low = [tools.key(f"jobs:{priority}") for priority in ("high", "normal", "low")]
    producer.lpush(low, "low")
    producer.lpush(high, "high 1", "high 2")
    for expected in ((high, "high 1"), (high, "high 2"), (low, "low")):
        assert pair(worker.brpop(queues, LONG_WAIT_SECONDS)) == expected
    with Background() as background:
        popped = background.submit(worker.brpop, queues, LONG_WAIT_SECONDS)
        until_waiting(producer, worker, popped)
        producer.rpush(normal, "normal")
        assert pair(popped.result()) == (normal, "normal")


@scenario("queue: who waits longest is served first")
def fairness(tools):
    producer, queue = tools.connect(), tools.key("job_queue")
    with Background() as background:
        waiting = []
        for _ in range(3):
            worker = named(tools)
            waiting.append(background.submit(worker.brpop, [queue], LONG_WAIT_SECONDS))
            until_waiting(producer, worker, waiting[-1])
        for job in numbered(3):
            producer.lpush(queue, job)
        assert [popped.result()[1] for popped in waiting] == numbered(3)


@scenario("queue: eight workers do every job once")
def every_job_once(tools):
    producers, queue = [tools.connect(), tools.connect()], tools.key("job_queue")
    with Background() as background:
        working = [background.submit(work, tools.connect(), queue) for _ in range(8)]
        for number, job in enumerate(numbered(200)):
            producers[number % 2].lpush(queue, job)
        producers[0].lpush(queue, *["stop"] * len(working))
        done = [job for each in working for job in each.result()]
    assert sorted(done) == sorted(numbered(200))
    assert producers[0].llen(queue) == 0


@scenario("queue: a job on its way to a waiting worker is never nowhere")
def blocking_move(tools):
    producer, worker = tools.connect(), named(tools)
    waiting, in_work = tools.key("jobs:waiting"), tools.key("jobs:in_work")
    with Background() as background:
        moved = background.submit(worker.blmove, waiting, in_work, LONG_WAIT_SECONDS, "RIGHT", "LEFT")
        until_waiting(producer, worker, moved)
        producer.lpush(waiting, "job")
        assert moved.result() == "job"
    assert producer.lrange(in_work, 0, -1) == ["job"]
    assert producer.llen(waiting) == 0


@scenario("queue: a worker that left while it waited takes nothing")
def left_worker(tools):
    producer, queue = tools.connect(), tools.key("job_queue")
    worker = named(tools, retry=Retry(NoBackoff(), 0))
    with Background() as background:
        popped = background.submit(worker.brpop, [queue], LONG_WAIT_SECONDS)
        until_waiting(producer, worker, popped)
        worker.connection_pool.disconnect(inuse_connections=True)
        eventually("it is gone", lambda: not lines_of(producer, worker))
        assert producer.lpush(queue, "job") == 1
        assert popped.exception(), f"it popped {popped.result()}"
    assert producer.llen(queue) == 1
    assert pair(tools.connect().brpop([queue], LONG_WAIT_SECONDS)) == (queue, "job")


@scenario("queue: a waiting worker is called back")
def called_back(tools):
    boss, worker, queue = tools.connect(), named(tools), tools.key("job_queue")
    with Background() as background:
        popped = background.submit(worker.brpop, [queue], LONG_WAIT_SECONDS)
        until_waiting(boss, worker, popped)
        assert boss.client_unblock(id_of(boss, worker)) == 1
        assert popped.result() is None
        assert boss.client_unblock(id_of(boss, worker)) == 0
        refused = background.submit(worker.brpop, [queue], LONG_WAIT_SECONDS)
        until_waiting(boss, worker, refused)
        assert boss.client_unblock(id_of(boss, worker), error=True) == 1
        assert "UNBLOCKED client unblocked via CLIENT UNBLOCK" in refusal(refused.result)
    assert worker.ping() is True


@scenario("queue: a waiting worker outlives a restart of the server")
def outlives_restart(tools):
    server, queue = tools.own_server(), tools.key("job_queue")
    watcher, worker = tools.connect(), named(tools)
    with Background() as background:
        working = background.submit(work, worker, queue)
        until_waiting(watcher, worker, working)
        server.kill()
        server.start()
        tools.connect().lpush(queue, "after the restart", "stop")
        assert working.result() == ["after the restart"]


class Background(ThreadPoolExecutor):
    """Threads for the calls that wait."""

    def __init__(self):
        super().__init__(8)


def work(worker, queue):
    """Takes jobs until the one that says stop; a worker keeps on when its connection breaks."""
    done = []
    while True:
        try:
            popped = worker.brpop([queue], LONG_WAIT_SECONDS)
        except redis.ConnectionError:
            time.sleep(0.025)
            continue
        if popped and popped[1] == "stop":
            return done
        if popped:
            done.append(popped[1])


def named(tools, **settings):
    """A client whose one connection has a name that no other run uses."""
    return tools.connect(client_name=f"worker-{uuid.uuid4().hex}", max_connections=1, **settings)


def lines_of(watcher, worker):
    name = worker.connection_pool.connection_kwargs["client_name"]
    return [client for client in watcher.client_list() if client["name"] == name]


def id_of(watcher, worker):
    return int(lines_of(watcher, worker)[0]["id"])


def until_waiting(watcher, worker, waiting):
    """Waits until the server says that the worker waits in a blocking command, whose future `waiting` is."""

    def listed():
        assert not waiting.done(), f"the worker did not wait: {waiting.exception() or waiting.result()}"
        return any("b" in client["flags"] for client in lines_of(watcher, worker))

    eventually("the worker waits", listed)


def next_of_any_kind(pubsub):
    message = pubsub.get_message(timeout=5)
    return message and (message["type"], message["data"])


def pair(popped):
    """RESP2 makes a tuple of key and element, RESP3 a list."""
    return popped and tuple(popped)


def numbered(count):
    return [f"job {number}" for number in range(count)]


def refusal(call):
    try:
        return f"answered {call()}"
    except redis.ResponseError as error:
        return str(error)
