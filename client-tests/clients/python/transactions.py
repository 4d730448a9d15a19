"""Pipelines as transactions: replies in their places, keys watched from the read to the write, what stops a whole or a part."""

from concurrent.futures import ThreadPoolExecutor

import redis
from channels import listen, next_messages
from harness import OTHER_DB, eventually, scenario
from jobs import Background, named, pair, until_waiting


def error_of(call):
    """The error that a call has to raise."""
    try:
        answer = call()
    except redis.RedisError as error:
        return error
    raise AssertionError(f"answered {answer}")


@scenario("transaction: every reply in its place")
def replies(tools):
    client, name, counter = tools.connect(), tools.key("user:name"), tools.key("user:visits")
    pipe = client.pipeline()
    pipe.set(name, "Jürgen").incr(counter).incr(counter).get(name).expire(name, 60).delete(counter).get(counter)
    assert pipe.execute() == [True, 1, 2, "Jürgen", True, 1, None]
    assert client.pipeline().execute() == []
    assert client.pipeline(transaction=False).incr(counter).incr(counter).execute() == [1, 2]


@scenario("transaction: nobody sees half of it")
def isolation(tools):
    writer, reader = tools.connect(), tools.connect()
    debit, credit = tools.key("account:debit"), tools.key("account:credit")

    def write():
        for _ in range(100):
            writer.pipeline().incr(debit).incr(credit).execute()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            one, other = reader.mget(debit, credit)
            assert one == other, (one, other)
        writing.result()
    assert reader.mget(debit, credit) == ["100", "100"]


@scenario("transaction: a watched key that somebody changes stops it")
def watched(tools):
    client, other = tools.connect(), tools.connect()
    stock, orders = tools.key("stock"), tools.key("orders")
    changes = [
        lambda: other.set(stock, "9"),
        lambda: other.set(stock, "9"),
        lambda: other.expire(stock, 30),
        lambda: other.delete(stock),
        lambda: other.incr(stock),
    ]
    with client.pipeline() as pipe:
        for change in changes:
            pipe.watch(stock)
            change()
            pipe.multi()
            pipe.set(orders, "1")
            assert isinstance(error_of(pipe.execute), redis.WatchError)
        assert client.get(orders) is None
        other.incr(stock)
        assert pipe.set(orders, "1").execute() == [True]


@scenario("transaction: what leaves the watched keys alone does not stop it")
def left_alone(tools):
    client, other, elsewhere = tools.connect(), tools.connect(), tools.connect(db=OTHER_DB)
    stock, missing = tools.key("stock"), tools.key("missing")
    attempts = [lambda: other.get(stock), lambda: other.delete(missing), lambda: elsewhere.set(stock, "far")]
    with client.pipeline() as pipe:
        for attempt in attempts:
            pipe.watch(stock, missing)
            attempt()
            pipe.multi()
            assert pipe.incr(stock).decr(stock).execute() == [1, 0]
        pipe.watch(stock)
        other.incr(stock)
        pipe.unwatch()
        assert pipe.get(stock).execute() == ["1"]


@scenario("transaction: a watched key that has expired stops it")
def expired(tools):
    client, other, session = tools.connect(), tools.connect(), tools.key("session")
    client.set(session, "short", px=150)
    with client.pipeline() as pipe:
        pipe.watch(session)
        assert pipe.get(session) == "short"
        eventually("it has expired", lambda: other.get(session) is None)
        pipe.multi()
        pipe.set(session, "next")
        assert isinstance(error_of(pipe.execute), redis.WatchError)


@scenario("transaction: six that read before they write lose nothing")
def optimistic(tools):
    counter = tools.key("counter")

    def add(client):
        def read_and_write(pipe):
            read = int(pipe.get(counter) or 0)
            pipe.multi()
            pipe.set(counter, read + 1)
            return read

        return [client.transaction(read_and_write, counter, value_from_callable=True) for _ in range(5)]

    clients = [tools.connect() for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as pool:
        read = [number for numbers in pool.map(add, clients) for number in numbers]
    assert sorted(read) == list(range(30)), read
    assert clients[0].transaction(lambda pipe: pipe.get(counter)) == ["30"]


@scenario("transaction: a command that fails does not stop the others")
def failing(tools):
    client, name, counter = tools.connect(), tools.key("user:name"), tools.key("user:visits")
    pipe = client.pipeline().set(name, "ann").incr(name).incr(counter)
    done, error, counted = pipe.execute(raise_on_error=False)
    assert (done, counted) == (True, 1)
    assert isinstance(error, redis.ResponseError) and str(error).startswith("value is not an integer or out of range"), error
    pipe = client.pipeline().incr(counter).incr(name)
    assert "value is not an integer or out of range" in str(error_of(pipe.execute))
    assert client.get(counter) == "2"


@scenario("transaction: one that is refused on its way stops all")
def refused_on_its_way(tools):
    client, counter = tools.connect(), tools.key("counter")
    for words, text in ((("SET", counter), "wrong number of arguments for 'set' command"), (("NOSUCH",), "unknown command")):
        pipe = client.pipeline().incr(counter)
        pipe.execute_command(*words)
        assert text in str(error_of(pipe.incr(counter).execute))
    assert client.get(counter) is None
    assert client.pipeline().incr(counter).execute() == [1]


@scenario("transaction: word by word, queued and discarded")
def word_by_word(tools):
    client, counter = tools.connect(single_connection_client=True), tools.key("counter")
    assert client.execute_command("MULTI") in ("OK", True)
    assert client.execute_command("ECHO", "a") == "QUEUED"
    not_here = "Command '{}' not allowed inside a transaction"
    assert str(error_of(lambda: client.execute_command("MULTI"))) in ("MULTI calls can not be nested", not_here.format("multi"))
    watching = error_of(lambda: client.execute_command("WATCH", counter))
    assert str(watching) in ("WATCH inside MULTI is not allowed", not_here.format("watch"))
    assert client.execute_command("DISCARD") in ("OK", True)
    assert str(error_of(lambda: client.execute_command("EXEC"))) == "EXEC without MULTI"
    assert str(error_of(lambda: client.execute_command("DISCARD"))) == "DISCARD without MULTI"


@scenario("transaction: a thousand commands")
def thousand(tools):
    client, counter = tools.connect(), tools.key("counter")
    pipe = client.pipeline()
    for _ in range(1000):
        pipe.incr(counter)
    assert pipe.execute() == list(range(1, 1001))


@scenario("transaction: what it pushes serves who waits, in the end")
def serves(tools):
    producer, worker = tools.connect(), named(tools)
    jobs, other = tools.key("job_queue"), tools.key("other_queue")
    with Background() as background:
        popped = background.submit(worker.blpop, [other, jobs], 4)
        until_waiting(producer, worker, popped)
        producer.pipeline().lpush(jobs, "job 1").lpush(jobs, "job 2").lpush(other, "gone").delete(other).execute()
        assert pair(popped.result()) == (jobs, "job 2")
    # Inside, what would wait does not.
    assert producer.pipeline().blpop([other], 5).execute() == [None]


@scenario("transaction: a status and its message go together")
def announced(tools):
    worker, reader = tools.connect(), tools.connect()
    channel, status = tools.key("job_updates"), tools.key("job:status")
    watcher = listen(tools.connect(), channel)
    assert worker.pipeline().publish(channel, "COMPLETED").set(status, "COMPLETED").execute() == [1, True]
    assert next_messages(watcher, 1) == [(channel, "COMPLETED")]
    assert reader.get(status) == "COMPLETED"


@scenario("transaction: a watched key whose connection broke stops it")
def broken(tools):
    server, client, counter = tools.own_server(), tools.connect(), tools.key("counter")
    with client.pipeline() as pipe:
        pipe.watch(counter)
        server.kill()
        server.start()
        pipe.multi()
        pipe.incr(counter)
        assert isinstance(error_of(pipe.execute), (redis.WatchError, redis.ConnectionError))
    assert client.get(counter) is None
