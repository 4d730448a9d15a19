"""Lua on the server: scripts by their text and by their SHA1, functions in libraries; what they give back and how they fail."""

import hashlib
import json
import re
import time
import uuid
from contextlib import contextmanager

import redis
from channels import listen, next_messages
from harness import eventually, only_since, scenario
from jobs import Background, named, pair, until_waiting

RELEASE = """
  if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
  end
  return 0
"""

TAKE = """
  local taken = redis.call('INCR', KEYS[1])
  if taken == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  if taken > tonumber(ARGV[1]) then return {0, redis.call('PTTL', KEYS[1])} end
  return {1, tonumber(ARGV[1]) - taken}
"""

UPDATE_STATUS = """
  local job = cjson.decode(redis.call('GET', KEYS[1]) or '{"updates":0}')
  job.status = ARGV[1]
  job.updates = job.updates + 1
  local text = cjson.encode(job)
  redis.call('SET', KEYS[1], text, 'EX', 60)
  redis.call('PUBLISH', KEYS[2], text)
  return text
"""

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


def refused(pattern, call, *words, **settings):
    """A call has to be refused with an error whose text fits."""
    try:
        answer = call(*words, **settings)
    except redis.ResponseError as error:
        assert re.search(pattern, str(error)), error
        return error
    raise AssertionError(f"answered {answer}")


def new_script():
    """A script that no other run has brought to the server."""
    return f"return '{uuid.uuid4().hex}'"


def sha1(text):
    return hashlib.sha1(text.encode()).hexdigest()


@scenario("script: compares and deletes")
def compares_and_deletes(tools):
    holder, stranger, lock = tools.connect(), tools.connect(), tools.key("mutex:script")
    holder.set(lock, "holder", ex=30)
    assert stranger.eval(RELEASE, 1, lock, "stranger") == 0
    assert holder.eval(RELEASE, 1, lock, "holder") == 1
    assert holder.eval(RELEASE, 1, lock, "holder") == 0
    assert holder.get(lock) is None


@scenario("script: what it gives back")
def gives_back(tools):
    client = tools.connect()
    replies = {
        "return 3.99": 3,
        "return -1.5": -1,
        "return 9007199254740992": 9007199254740992,
        "return 'Grüße 👋'": "Grüße 👋",
        "return true": 1,
        "return false": None,
        "return": None,
        "return {}": [],
        "return {1, 'two', {3, {}}, false, 'five', nil, 'lost'}": [1, "two", [3, []], None, "five"],
        "return redis.status_reply('FINE')": "FINE",
        "return redis.call('PING')": "PONG",
        "return {#KEYS, #ARGV}": [0, 0],
    }
    for script, expected in replies.items():
        assert client.eval(script, 0) == expected, script
    assert client.eval("return {KEYS[1], ARGV[1], ARGV[2]}", 1, "a key", "", "ü") == ["a key", "", "ü"]
    every = bytes(range(256))
    assert tools.connect(decode_responses=False).eval("return {ARGV[1], #ARGV[1]}", 0, every) == [every, 256]


@scenario("script: how it fails")
def fails(tools):
    client, text = tools.connect(), tools.key("text")
    client.set(text, "no number")
    for script, pattern in {
        "return redis.error_reply('MYCODE of mine')": r"^MYCODE of mine$",
        "return redis.call('INCR', KEYS[1])": r"^value is not an integer or out of range script: ",
        "return redis.call('LPUSH', KEYS[1], 'job')": r"^WRONGTYPE Operation against a key holding the wrong kind of value script",
        "error('of mine')": r"^user_script:1: of mine script: ",
        "return nosuch": r"^user_script:1: Script attempted to access nonexistent global variable 'nosuch' script: ",
        "return (": r"^Error compiling script \(new function\): user_script:1: unexpected symbol near '<eof>'",
        "return redis.call('SUBSCRIBE', 'a')": r"^This \w+ command is not allowed from script script: ",
    }.items():
        refused(pattern, client.eval, script, 1, text)
    caught = "local answer = redis.pcall('INCR', KEYS[1]) return {answer.err, redis.call('DEL', KEYS[1])}"
    assert client.eval(caught, 1, text) == ["ERR value is not an integer or out of range", 1]


@scenario("script: by its SHA1, once the server has it")
def by_sha(tools):
    client, other = tools.connect(), tools.connect()
    loaded, evaluated, unknown = new_script(), new_script(), new_script()
    assert client.script_load(loaded) == sha1(loaded)
    client.eval(evaluated, 0)
    for script in (loaded, evaluated):
        assert f"return '{other.evalsha(sha1(script), 0)}'" == script
    assert type(refused("No matching script", other.evalsha, sha1(unknown), 0)) is redis.exceptions.NoScriptError
    assert client.script_exists(sha1(loaded), sha1(unknown), sha1(evaluated)) == [True, False, True]


@scenario("script: registered, and brought along where the server does not have it")
def registered(tools):
    tools.own_server()
    client, other, counter = tools.connect(), tools.connect(), tools.key("counter")
    add = client.register_script(ADD)
    assert add.sha == sha1(ADD)
    client.script_flush()
    assert add(keys=[counter], args=[5]) == 5
    client.script_flush()
    assert add([counter], [5], client=other) == 10
    refused("value is not an integer or out of range", add, [counter], ["x"])


@scenario("script: registered, in pipelines and in transactions")
def registered_in_pipelines(tools):
    tools.own_server()
    client, counter, watched = tools.connect(), tools.key("counter"), tools.key("watched")
    add, release = client.register_script(ADD), client.register_script(RELEASE)
    for transaction in (True, False):
        client.script_flush()
        pipe = client.pipeline(transaction=transaction)
        add([counter], [1], client=pipe)
        release([watched], ["nobody"], client=pipe)
        pipe.get(counter)
        assert pipe.execute() in ([1, 0, "1"], [2, 0, "2"])

    def stolen(pipe):
        client.incr(watched)
        pipe.multi()
        add([counter], [1], client=pipe)

    with client.pipeline() as pipe:
        pipe.watch(watched)
        stolen(pipe)
        try:
            raise AssertionError(f"answered {pipe.execute()}")
        except redis.WatchError:
            pass
    assert client.get(counter) == "2"


@scenario("script: read only")
def read_only(tools):
    client, counter = tools.connect(), tools.key("counter")
    read, write = "return redis.call('GET', KEYS[1])", "return redis.call('INCR', KEYS[1])"
    assert client.eval_ro(read, 1, counter) is None
    refused("Write commands are not allowed from read-only scripts", client.eval_ro, write, 1, counter)
    refused("Write commands are not allowed from read-only scripts", client.eval, f"#!lua flags=no-writes\n{write}", 1, counter)
    assert client.eval(write, 1, counter) == 1
    assert client.evalsha_ro(sha1(read), 1, counter) == "1"


@scenario("script: of twenty at once five are let in")
def rate_limit(tools):
    clients, limit = [tools.connect() for _ in range(20)], tools.key("ratelimit:login")
    with Background() as background:
        asking = [background.submit(client.eval, TAKE, 1, limit, 5, 60_000) for client in clients]
        answers = [answer.result() for answer in asking]
    assert sorted(left for admitted, left in answers if admitted) == [0, 1, 2, 3, 4]
    assert all(0 < ms <= 60_000 for admitted, ms in answers if not admitted)


@scenario("script: serves who waits for a job")
def serves(tools):
    producer, worker, queue = tools.connect(), named(tools), tools.key("job_queue")
    only_since("7.2", producer, "a script may not call what waits")
    with Background() as background:
        popped = background.submit(worker.brpop, [queue], 4)
        until_waiting(producer, worker, popped)
        push = "redis.call('LPUSH', KEYS[1], ARGV[1]) return redis.call('BRPOP', KEYS[2], 5)"
        assert producer.eval(push, 2, queue, tools.key("other_queue"), "job") is None
        assert pair(popped.result()) == (queue, "job")


@scenario("script: a status kept and announced")
def status(tools):
    worker, status, channel = tools.connect(), tools.key("job:status"), tools.key("job_updates")
    watcher = listen(tools.connect(), channel)
    for word in ("RUNNING", "COMPLETED"):
        worker.eval(UPDATE_STATUS, 2, status, channel, word)
    seen = [json.loads(message) for _, message in next_messages(watcher, 2)]
    assert seen == [{"status": "RUNNING", "updates": 1}, {"status": "COMPLETED", "updates": 2}], seen
    assert json.loads(worker.get(status)) == seen[-1]


@scenario("script: one that does not end is killed, and others are told")
def killed(tools):
    tools.own_server()
    looping, other, key = tools.connect(), tools.connect(), tools.key("counter")
    other.config_set("lua-time-limit", 20)
    try:
        with Background() as background:
            script = background.submit(looping.eval, "while true do end", 0)
            eventually("it is busy", lambda: is_busy(other, key))
            assert other.script_kill() in ("OK", True)
            refused("Script killed by user with SCRIPT KILL", script.result)
        assert looping.incr(key) == 1
        refused("No scripts in execution right now", other.script_kill)
    finally:
        other.config_set("lua-time-limit", 5000)


def is_busy(client, key):
    try:
        client.get(key)
        return False
    except redis.ResponseError as error:
        return str(error).startswith("BUSY ")


@contextmanager
def library(client):
    """A library of functions under names that no other run has; it is deleted at the end."""
    name = f"shop_{uuid.uuid4().hex}"
    code = f"""#!lua name={name}
      local function take(keys, args)
        local left = tonumber(redis.call('GET', keys[1]) or '0') - tonumber(args[1])
        if left < 0 then return redis.error_reply('SOLDOUT none left') end
        redis.call('SET', keys[1], left)
        return left
      end
      redis.register_function('{name}_take', take)
      redis.register_function{{
        function_name = '{name}_left',
        callback = function(keys) return redis.call('GET', keys[1]) end,
        flags = {{'no-writes'}},
      }}
    """
    assert client.function_load(code) == name
    try:
        yield name, code
    finally:
        if client.function_list(library=name):
            client.function_delete(name)


@scenario("function: called by whoever knows its name")
def function_called(tools):
    owner, buyer, stock = tools.connect(), tools.connect(), tools.key("stock")
    owner.set(stock, 5)
    with library(owner) as (name, _):
        take, left = f"{name}_take", f"{name}_left"
        assert buyer.fcall(take, 1, stock, 3) == 2
        refused("^SOLDOUT none left", buyer.fcall, take, 1, stock, 3)
        assert buyer.fcall_ro(left, 1, stock) == "2" == buyer.fcall(left, 1, stock)
        refused(r"Can not execute a script with write flag using \*_ro command", buyer.fcall_ro, take, 1, stock, 1)
        refused("Function not found", buyer.fcall, f"{take}_not", 1, stock)
        assert buyer.pipeline().fcall(take, 1, stock, 1).get(stock).execute() == [1, "1"]


@scenario("function: loaded once, replaced, listed and deleted")
def function_managed(tools):
    client = tools.connect()
    with library(client) as (name, code):
        refused(f"Library '{name}' already exists", client.function_load, code)
        assert client.function_load(code, replace=True) == name
        [listed] = client.function_list(library=name, withcode=True)
        fields = fields_of(listed)
        assert (fields["library_name"], fields["engine"], fields["library_code"]) == (name, "LUA", code), fields
        functions = {fields_of(function)["name"]: fields_of(function) for function in fields["functions"]}
        assert set(functions) == {f"{name}_take", f"{name}_left"}
        assert list(functions[f"{name}_left"]["flags"]) == ["no-writes"]
        assert client.function_delete(name) in ("OK", True)
        assert client.function_list(library=name) == []
        refused("Library not found", client.function_delete, name)


def fields_of(listed):
    """RESP3 has a map here, RESP2 names and values in turn."""
    return listed if isinstance(listed, dict) else dict(zip(listed[::2], listed[1::2]))


@scenario("function: a library that cannot be")
def function_refused(tools):
    client, name = tools.connect(), f"shop_{uuid.uuid4().hex}"
    refused("^Missing library metadata", client.function_load, "return 1")
    refused("^No functions registered", client.function_load, f"#!lua name={name}\nreturn 1")
    refused(r"^Error compiling function: user_function:2: ", client.function_load, f"#!lua name={name}\nreturn (")
    assert client.function_list(library=name) == []


@scenario("function: dumped, and restored after they are gone")
def function_dumped(tools):
    tools.own_server()
    client, stock = tools.connect(decode_responses=False), tools.key("stock")
    with library(tools.connect()) as (name, _):
        dump = client.function_dump()
        refused(f"Library {name} already exists", client.function_restore, dump)
        assert client.function_flush() in (b"OK", True)
        refused("Function not found", client.fcall, f"{name}_left", 1, stock)
        assert client.function_restore(dump) in (b"OK", True)
        assert client.fcall(f"{name}_left", 1, stock) is None


@scenario("script: its own time, and keys that expire")
def frozen_time(tools):
    client, session = tools.connect(), tools.key("session")
    only_since("7.2", client, "time goes on in a script")
    script = """
      redis.call('SET', KEYS[1], 'v', 'PX', 5)
      local before = redis.call('TIME')
      for _ = 1, 300000 do end
      local after = redis.call('TIME')
      return {before[1] == after[1] and before[2] == after[2], redis.call('PTTL', KEYS[1])}
    """
    assert client.eval(script, 1, session) == [1, 5]
    time.sleep(0.015)
    assert client.eval("return redis.call('EXISTS', KEYS[1])", 1, session) == 0
