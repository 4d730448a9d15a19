"""What the table at the end has for rows: documents of users, part by part, and the scenarios that carry each part out.

A user's document tells how a service uses Redis. A scenario belongs to the first part whose pattern its name begins with. What no
document asks for has rows of its own after them, so that the table counts every scenario.
"""

import re
from dataclasses import dataclass

IOREDIS = ("ioredis-5", "ioredis-6")
NODE = (*IOREDIS, "node-redis-4", "node-redis-5", "node-redis-6")
REDIS_PY = ("redis-py-resp3", "redis-py-resp2")
LIBRARIES = (*NODE, "ioredis-6-on-bun", "bun-redis", "redis-rb", *REDIS_PY)
TOOLS = ("redis-cli", "valkey-cli")
COLUMNS = (*LIBRARIES, *TOOLS)
REFUSED = ("ioredis-5", "node-redis-4", "node-redis-5", "redis-py-resp2")
KEEPING_COPIES = ("node-redis-5", "node-redis-6", "redis-py-resp3")


@dataclass(frozen=True)
class Part:
    """Part of a document; `clients` are those that have scenarios for it, `otherwise` is why the others have none."""

    name: str
    pattern: str
    clients: tuple = LIBRARIES
    otherwise: str = "what a service does in code; commands that people type have rows of their own"
    # Whose scenarios they are, where the client is only what another program is given.
    program: str = ""


@dataclass(frozen=True)
class Document:
    name: str
    parts: list


def package(program, name, pattern):
    return Part(name, pattern, NODE, "a package for ioredis and node-redis, tested on Node", program)


def typed(name, pattern):
    return Part(name, pattern, TOOLS, "for people at a terminal; services do the same in code")


DOCUMENTS = [
    Document("A mutex for each conversation", [
        Part("SET with EX and NX, in either order", r"mutex: (.* for the first|NX before EX|a fresh lock|a wrong SET)"),
        Part("released by who holds it alone", r"mutex: (released|a holder)"),
        Part("one holder among many, and its end", r"mutex: (of twenty|never two|an abandoned)"),
        Part("SETNX, then EXPIRE", r"mutex: SETNX"),
    ]),
    Document("Distributed locks", [
        package("redlock-universal", "work under a lock", r".*: (withLock|the end of|never two|it is extended|the work is)"),
        package("redlock-universal", "imports, of which one runs", r".*: (of five nodes|an import)"),
        package("redlock-universal", "locks on three servers", r".*: three servers"),
        package("redlock-universal", "several keys at once", r".*: (several|of eight)"),
        package("redlock-universal", "acquired, extended, released by hand", r""),
        Part("redlock 4 and 5", r"", IOREDIS, "a package for ioredis alone, tested on Node", "redlock"),
        Part("the lock of redis-py", r"lock:", REDIS_PY, "a class of redis-py"),
    ]),
    Document("A job queue with updates", [
        typed("typed into redis-cli", r"queue: (length|replies|RESP3|[A-Z]+ )|command line: keys"),
        Part("jobs pushed, popped, counted, cleared", r"queue: (jobs come|what is pushed|a job is kept)"),
        Part("workers that wait", r"queue: (a waiting worker gets|waiting ends|urgent|who waits|what is sent|a worker that)"),
        Part("many workers, lost and called back", r"queue: (eight|a job on its way|a waiting worker)"),
        Part("jobs kept through a stop or a crash", r"queue kept:"),
        Part("updates for who watches", r"queue: (a status|updates)"),
        Part(
            "refused while listening", r"channels: (with RESP2|a subscriber asks)",
            REFUSED, "with RESP3 nothing is refused; redis-rb and redis-cli cannot ask while they listen",
        ),
    ]),
    Document("Idempotency of messages", [
        Part("address, user, password, database", r"idempotency: (a missing|a wrong|the user|databases)"),
        Part("checked and completed", r"idempotency: (new once|of ten|completion)"),
        Part("health, and on without the server", r"idempotency:"),
    ]),
    Document("A chat's backend", [
        Part("connected, watched, given up", r"connection:"),
        Part("values read through, kept, deleted", r"cache: (what was|many|all sessions|kept)"),
        Part("counters that are forgotten", r"cache: attempts"),
        Part("who is online", r"cache: who"),
        Part("copies in the client", r"cache: (a copy|copies)", KEEPING_COPIES, "it keeps no copies that the server takes back"),
        Part("data kept through a stop or a crash", r"chat kept:"),
        Part("a limit on memory", r"full memory:"),
        Part("channels between nodes", r"channels:"),
        package("socketio", "Socket.IO: channels", r"adapter on"),
        package("socketio", "Socket.IO: sharded channels", r"sharded adapter on"),
        package("socketio", "Socket.IO: messages from outside", r"emitter on"),
        package("socketio", "Socket.IO: a stream", r"streams adapter on"),
        package("socketio", "Socket.IO: what a browser missed", r"recovery on"),
        Part("delivery stream: groups of workers", r"delivery:", COLUMNS),
        Part("delivery stream: retries, dead letters", r"retry:"),
        Part("delivery stream: trimming", r"trimming:"),
        Part("delivery stream: what XINFO tells", r"stream info:", COLUMNS),
    ]),
]

BEYOND = Document("Beyond the documents", [
    Part("transactions", r"transaction:"),
    Part("scripts and functions", r"(script|function|defined \w+):"),
    typed("the command line", r"(command line|terminal):"),
    # Whatever has no row yet, also what became of a program as a whole.
    Part("everything else", r"", (), "nothing else happened"),
])


def part_of(scenario, program):
    parts = (part for document in (*DOCUMENTS, BEYOND) for part in document.parts)
    return next(part for part in parts if part.program in ("", program) and re.match(part.pattern, scenario))


def clients_of(scenario, program):
    """In whose columns a scenario counts: the program's own, or those of the libraries that its package was given."""
    after_on = scenario.partition(": ")[0].partition(" on ")[2]
    libraries = re.findall(r"\b(ioredis|node-redis)(\d)\b", after_on)
    return [f"{name}-{version}" for name, version in libraries] or [program]
