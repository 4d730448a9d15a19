"""redis-cli in scripts: a command's output in a pipe, and the modes that read, fill and measure a server."""

import json
import re
import tempfile
import uuid
from urllib.parse import quote

from harness import TARGET, Skip, eventually, scenario

MASS_INSERTION = 10_000


@scenario("queue: length, jobs and their end")
def queue(tools):
    cli, jobs = tools.connect(), tools.key("job_queue")
    assert cli("LPUSH", jobs, "job 1") == "1"
    assert cli("LPUSH", jobs, "job 2", "jöb 3") == "3"
    assert cli("LLEN", jobs) == "3"
    assert cli("LRANGE", jobs, "0", "-1") == "jöb 3\njob 2\njob 1"
    assert cli("RPOP", jobs) == "job 1"
    assert cli("DEL", jobs) == "1"
    assert cli("RPOP", jobs) == ""


@scenario("queue: replies for people, as CSV and as JSON")
def formats(tools):
    cli, jobs, counts = tools.connect(), tools.key("job_queue"), tools.key("counts")
    cli("RPUSH", jobs, "job 1", 'with "quotes"', "")
    assert cli("--no-raw", "LRANGE", jobs, "0", "-1") == '1) "job 1"\n2) "with \\"quotes\\""\n3) ""'
    assert cli("--csv", "LRANGE", jobs, "0", "-1") == '"job 1","with \\"quotes\\"",""'
    assert cli("--json", "LRANGE", jobs, "0", "-1") == '["job 1","with \\"quotes\\"",""]'
    assert cli("-d", ";", "LRANGE", jobs, "0", "-1") == 'job 1;with "quotes";'
    assert cli("--no-raw", "LLEN", jobs) == "(integer) 3"
    assert cli("--no-raw", "GET", counts) == "(nil)"
    assert cli("--no-raw", "LRANGE", counts, "0", "-1") == "(empty array)"
    assert cli("--no-raw", "LPOP", jobs, "0") == "(empty array)"


@scenario("queue: RESP3 gives sets and maps their own form")
def resp3(tools):
    cli, online = tools.connect(), tools.key("user:online")
    cli("SADD", online, "ann")
    assert cli("-3", "--no-raw", "SMEMBERS", online) == '1~ "ann"'
    assert cli("-2", "--no-raw", "SMEMBERS", online) == '1) "ann"'
    assert cli("-3", "--no-raw", "CONFIG", "GET", "port") == f'1# "port" => "{TARGET["port"]}"'
    assert cli("-3", "--json", "CONFIG", "GET", "port") == f'{{"port":"{TARGET["port"]}"}}'


@scenario("queue: BRPOP waits for a job")
def brpop(tools):
    cli, jobs = tools.connect(), tools.key("job_queue")
    assert cli("BRPOP", jobs, "0.1") == ""
    worker = cli.start("BRPOP", jobs, "10")
    waits = re.compile(r"flags=\w*b.* cmd=brpop")
    eventually("it waits", lambda: worker.process.poll() is not None or waits.search(cli("CLIENT", "LIST")))
    cli("LPUSH", jobs, "job")
    worker.until(f"{jobs}\njob\n")
    assert worker.ended() == 0
    assert cli("LLEN", jobs) == "0"


@scenario("queue: SUBSCRIBE prints every update")
def subscribe(tools):
    cli, channel = tools.connect(), tools.key("job_updates")
    for version in ("-2", "-3"):
        watching = cli.start(version, "SUBSCRIBE", channel, f"{channel}:other")
        assert watching.until("other\n2\n") == f"subscribe\n{channel}\n1\nsubscribe\n{channel}:other\n2\n"
        update = '{"tenantId":"t1","jobId":"j1","status":"COMPLETED"}'
        assert cli("PUBLISH", channel, update) == "1"
        assert watching.until("}\n") == f"message\n{channel}\n{update}\n"
        watching.kill()
        eventually("it is gone", lambda: cli("PUBLISH", channel, "m") == "0")


@scenario("queue: PSUBSCRIBE prints pattern and channel")
def psubscribe(tools):
    cli, prefix = tools.connect(), tools.key("message")
    watching = cli.start("PSUBSCRIBE", f"{prefix}:*")
    watching.until("psubscribe\n")
    watching.until("1\n")
    assert cli("PUBLISH", f"{prefix}:new", "hello") == "1"
    assert watching.until("hello\n") == f"pmessage\n{prefix}:*\n{prefix}:new\nhello\n"


@scenario("delivery: entries for people, as CSV and as JSON")
def entries(tools):
    cli, stream = tools.connect(), tools.key("message-delivery-stream")
    assert cli("XADD", stream, "5-1", "chat", "1", "content", "grüß dich") == "5-1"
    assert cli("XADD", stream, "MAXLEN", "~", "1000", "5-2", "chat", "2") == "5-2"
    assert cli("XRANGE", stream, "-", "+") == "5-1\nchat\n1\ncontent\ngrüß dich\n5-2\nchat\n2"
    assert cli("--csv", "XRANGE", stream, "5-2", "+") == '"5-2","chat","2"'
    assert cli("--json", "XRANGE", stream, "-", "+") == '[["5-1",["chat","1","content","grüß dich"]],["5-2",["chat","2"]]]'
    assert cli("-3", "--json", "XREAD", "STREAMS", stream, "5-1") == f'{{"{stream}":[["5-2",["chat","2"]]]}}'
    for_people = '1) 1) "5-2"\n   2) 1) "chat"\n      2) "2"'
    assert cli("--no-raw", "XRANGE", stream, "5-2", "+") == for_people
    assert "equal or smaller" in cli("XADD", stream, "5-2", "chat", "3")


@scenario("delivery: XREADGROUP waits for a message, XACK and XPENDING tell of it")
def xreadgroup(tools):
    cli, stream = tools.connect(), tools.key("message-delivery-stream")
    assert cli("XGROUP", "CREATE", stream, "delivery", "$", "MKSTREAM") == "OK"
    assert cli("XGROUP", "CREATE", stream, "delivery", "$") == "BUSYGROUP Consumer Group name already exists\n"
    worker = cli.start("XREADGROUP", "GROUP", "delivery", "ann", "BLOCK", "10000", "STREAMS", stream, ">")
    waits = re.compile(r"flags=\w*b.* cmd=xreadgroup")
    eventually("it waits", lambda: worker.process.poll() is not None or waits.search(cli("CLIENT", "LIST")))
    cli("XADD", stream, "5-1", "content", "hello")
    worker.until(f"{stream}\n5-1\ncontent\nhello\n")
    assert worker.ended() == 0
    assert cli("XPENDING", stream, "delivery") == "1\n5-1\n5-1\nann\n1"
    assert re.fullmatch(r"5-1\nann\n\d+\n1", cli("XPENDING", stream, "delivery", "-", "+", "10"))
    assert cli("XACK", stream, "delivery", "5-1") == "1"
    assert cli("--no-raw", "XPENDING", stream, "delivery") == "1) (integer) 0\n2) (nil)\n3) (nil)\n4) (nil)"


@scenario("stream info: XINFO in both protocols")
def xinfo(tools):
    cli, stream = tools.connect(), tools.key("message-delivery-stream")
    cli("XGROUP", "CREATE", stream, "delivery", "0", "MKSTREAM")
    cli("XADD", stream, "5-1", "content", "hello")
    cli("XREADGROUP", "GROUP", "delivery", "ann", "STREAMS", stream, ">")
    group = {
        "name": "delivery", "consumers": 1, "pending": 1, "last-delivered-id": "5-1", "entries-read": 1, "lag": 0,
    }
    assert json.loads(cli("-3", "--json", "XINFO", "GROUPS", stream)) == [group]
    assert cli("XINFO", "GROUPS", stream).split("\n") == [str(word) for pair in group.items() for word in pair]
    told = json.loads(cli("-3", "--json", "XINFO", "STREAM", stream))
    assert (told["length"], told["groups"], told["first-entry"]) == (1, 1, ["5-1", ["content", "hello"]]), told
    assert "ann" in cli("XINFO", "CONSUMERS", stream, "delivery").split("\n")
    assert '"pel-count":1' in cli("-3", "--json", "XINFO", "STREAM", stream, "FULL")


@scenario("command line: keys by KEYS and by --scan")
def keys(tools):
    cli, prefix = tools.connect(), tools.key("session")
    names = sorted(tools.key(f"{prefix}:{number}") for number in range(40))
    other = tools.key("other")
    cli("MSET", *(word for name in [*names, other] for word in (name, "v")))
    assert set(names) | {other} <= set(cli("KEYS", "*").split("\n"))
    assert sorted(cli("KEYS", f"{prefix}:*").split("\n")) == names
    assert sorted(set(cli("--scan", "--pattern", f"{prefix}:*").split("\n"))) == names
    assert sorted(set(cli("--scan", "--pattern", f"{prefix}:*", "--count", "1000").split("\n"))) == names


@scenario("command line: mass insertion with --pipe")
def pipe(tools):
    cli, prefix, jobs = tools.connect(), tools.key("inserted"), tools.key("job_queue")
    commands = b"".join(request("LPUSH", jobs, f"job {number}") for number in range(MASS_INSERTION))
    output = cli("--pipe", stdin=commands)
    assert output.endswith(f"errors: 0, replies: {MASS_INSERTION}"), output
    assert cli("LLEN", jobs) == str(MASS_INSERTION)
    # Commands in one line each are understood as well, and a refused one does not end the others.
    output = cli("--pipe", stdin=f"SET {prefix} 1\r\nLPUSH {prefix} 2\r\nINCR {prefix}\r\n".encode())
    assert "WRONGTYPE" in output and output.endswith("errors: 1, replies: 3"), output
    assert cli("GET", prefix) == "2"


@scenario("command line: the biggest keys")
def biggest_keys(tools):
    tools.own_server()
    cli = tools.connect()
    jobs, online, session = tools.key("job_queue"), tools.key("user:online"), tools.key("session")
    cli("RPUSH", jobs, *map(str, range(50)))
    cli("SADD", online, "ann", "bob", "cem")
    cli("SET", session, "x" * 5000)
    output = cli("--bigkeys")
    for biggest in (
        f"list found K{jobs}K has 50 items",
        f"set found K{online}K has 3 members",
        f"string found K{session}K has 5000 bytes",
    ):
        assert re.search(quoted(biggest), output), output
    assert "Sampled 3 keys in the keyspace!" in output, output


@scenario("command line: the keys that take most memory")
def memory_of_keys(tools):
    tools.own_server()
    cli = tools.connect()
    jobs, session = tools.key("job_queue"), tools.key("session")
    cli("RPUSH", jobs, *(str(number) * 100 for number in range(100)))
    cli("SET", session, "x" * 5000)
    output = cli("--memkeys")
    assert re.search(quoted(rf"list found K{jobs}K has \d{{5}} bytes"), output), output
    assert re.search(quoted(rf"string found K{session}K has [5-9]\d\d\d bytes"), output), output
    if "--keystats" in cli("--help"):
        output = cli("--keystats")
        assert "Keys sampled: 2" in output and "has 100 items" in output, output


@scenario("command line: a command repeated in intervals")
def repeated(tools):
    cli, counter = tools.connect(), tools.key("counter")
    assert cli("-r", "5", "-i", "0.01", "INCR", counter) == "1\n2\n3\n4\n5"


@scenario("command line: commands from a file, one after the other")
def from_file(tools):
    cli, key = tools.connect(), tools.key("greeting")
    script = f'SET {key} "Hello, \\"World\\"\\x21"\nGET {key}\nNOSUCH command\nSTRLEN {key}\n'
    ok, value, refused, empty, length = cli(stdin=script.encode()).split("\n")
    assert (ok, value, empty, length) == ("OK", 'Hello, "World"!', "", "15")
    assert refused == "ERR unknown command 'NOSUCH', with args beginning with: 'command' ", refused


@scenario("command line: a transaction from a file")
def transaction(tools):
    cli, counter = tools.connect(), tools.key("counter")
    commands = f"MULTI\nINCR {counter}\nINCR {counter}\nEXEC\nWATCH {counter}\nINCR {counter}\nMULTI\nINCR {counter}\nEXEC\n"
    assert cli(stdin=commands.encode()) == "OK\nQUEUED\nQUEUED\n1\n2\nOK\n3\nOK\nQUEUED\n"
    assert cli("GET", counter) == "3"


@scenario("command line: a script as an argument, and one in a file")
def script(tools):
    cli, counter = tools.connect(), tools.key("counter")
    assert cli("EVAL", "return {KEYS[1], redis.call('INCRBY', KEYS[1], ARGV[1])}", "1", counter, "5") == f"{counter}\n5"
    everything = '1) (integer) 3\n2) "two"\n3) 1) (nil)\n   2) (empty array)'
    assert cli("--no-raw", "EVAL", "return {3.99, 'two', {false, {}}, nil, 'lost'}", "0") == everything
    assert cli("--json", "-3", "EVAL", "return {map = {sum = {double = 1.5}}}", "0") == '{"sum":1.5}'
    add_all = "local sum = 0\nfor _, word in ipairs(ARGV) do\n  sum = sum + word\nend\nreturn redis.call('INCRBY', KEYS[1], sum)\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(add_all)
        file.flush()
        assert cli("--eval", file.name, counter, ",", "1", "2", "3") == "11"
        error = cli("--eval", file.name, counter, ",", "one")
        assert error.startswith("ERR user_script:3: attempt to perform arithmetic on local 'word' (a string value)"), error


@scenario("command line: functions from standard input")
def functions(tools):
    cli, counter, name = tools.connect(), tools.key("counter"), f"shop_{uuid.uuid4().hex}"
    add = "function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end"
    code = f"#!lua name={name}\nredis.register_function('{name}_add', {add})\n"
    assert cli("-x", "FUNCTION", "LOAD", stdin=code.encode()) == name
    try:
        assert cli("FCALL", f"{name}_add", "1", counter, "5") == "5"
        assert f"{name}_add" in cli("FUNCTION", "LIST", "LIBRARYNAME", name)
    finally:
        assert cli("FUNCTION", "DELETE", name) == "OK"


@scenario("command line: the last argument from standard input")
def from_stdin(tools):
    cli, key = tools.connect(), tools.key("uploaded")
    every = bytes(range(256))
    assert cli("-x", "SET", key, stdin=every) == "OK"
    assert cli("STRLEN", key) == "256"
    assert cli("--no-raw", "GETRANGE", key, "0", "3") == '"\\x00\\x01\\x02\\x03"'
    assert cli("-X", "VALUE", "SET", key, "VALUE", "EX", "60", stdin=b"tagged") == "OK"
    assert cli("GET", key) == "tagged"


@scenario("command line: errors and statuses")
def errors(tools):
    cli, jobs = tools.connect(), tools.key("job_queue")
    cli("LPUSH", jobs, "job")
    wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value"
    output, status = cli.run("-e", "GET", jobs)
    assert (output.strip(), status) == (wrong_type, 1), (output, status)
    assert cli("--no-raw", "GET", jobs) == f"(error) {wrong_type}"
    assert cli("--no-raw", "LPUSH", jobs) == "(error) ERR wrong number of arguments for 'lpush' command"
    assert cli.run("PING") == ("PONG", 0)


@scenario("command line: a wrong password and none")
def passwords(tools):
    if not TARGET["password"]:
        raise Skip("only on a server with a password")
    assert "AUTH failed: WRONGPASS invalid username-password pair or user is disabled." in tools.connect(password="wrong")("PING")
    assert "NOAUTH Authentication required." in tools.connect(password=None, username=None)("PING")


@scenario("command line: everything in a URL")
def url(tools):
    cli, key = tools.connect(password=None, username=None), tools.key("greeting")
    user, password = TARGET["username"] or "default", quote(TARGET["password"] or "", safe="")
    login = f"{user}:{password}@" if password else ""
    whole = f"redis://{login}{TARGET['host']}:{TARGET['port']}/{TARGET['db']}"
    assert cli("--no-auth-warning", "-u", whole, "SET", key, "hello") == "OK"
    assert tools.connect()("GET", key) == "hello"


@scenario("command line: what others do, with MONITOR")
def monitor(tools):
    cli, key = tools.connect(), tools.key("watched")
    watching = cli.start("MONITOR")
    watching.until("OK\n")
    cli("SET", key, 'a "word"')
    line = watching.until('"a \\"word\\""\n').splitlines()[-1]
    assert re.fullmatch(rf'\d+\.\d{{6}} \[{TARGET["db"]} \S+:\d+\] "SET" "{key}" "a \\"word\\""', line), line


@scenario("command line: latency")
def latency(tools):
    least, most, average, samples = tools.connect()("--latency", "--raw", "-i", "0.3").split()[:4]
    assert int(samples) > 5 and float(least) <= float(average) <= float(most)


def quoted(pattern):
    """Programs and versions put names of keys into different quotes, here K."""
    return pattern.replace("K", "[\"']+")


def request(*words):
    """A command as it goes over the wire."""
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
