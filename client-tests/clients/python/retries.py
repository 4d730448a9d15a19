"""Messages whose worker crashed or failed: claimed after some time, given up after some deliveries; and how old ones go."""

import time

from delivery import GROUP, add_messages, ids_of, message_of, open_group, read_group
from harness import eventually, scenario
from jobs import Background

IDLE_MS = 60
MOST_DELIVERIES = 3
FIRST_PAGE = "0-0"


def abandoned(tools, count):
    """A stream whose messages one worker has read and not acknowledged."""
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    open_group(client, stream)
    ids = add_messages(client, stream, count)
    read_group(client, stream, "crashed", count=count)
    return client, stream, ids


def pending_of(client, stream, **options):
    return client.xpending_range(stream, GROUP, "-", "+", options.pop("count", 100), **options)


def claim_all(client, stream, consumer, idle_ms, count):
    """Claims what has waited for so long, page by page."""
    pages, after = [], FIRST_PAGE
    while True:
        after, entries, *_ = client.xautoclaim(stream, GROUP, consumer, idle_ms, after, count=count)
        pages.append(entries)
        if after == FIRST_PAGE:
            return pages


def give_up(client, stream, dead_letters):
    """Messages that were delivered too often go to another stream, in one transaction with their acknowledgement."""
    hopeless = [one for one in pending_of(client, stream) if one["times_delivered"] >= MOST_DELIVERIES]
    for one in hopeless:
        identifier = one["message_id"]
        [(_, message)] = client.xrange(stream, identifier, identifier)
        letter = {**message, "origin": identifier, "deliveries": one["times_delivered"]}
        pipe = client.pipeline().xadd(dead_letters, letter).xack(stream, GROUP, identifier)
        assert pipe.execute()[1] == 1
    return [one["message_id"] for one in hopeless]


@scenario("retry: what a crashed worker left is claimed after some time")
def claimed_when_idle(tools):
    client, stream, ids = abandoned(tools, 5)
    assert client.xack(stream, GROUP, ids[0], ids[3]) == 2
    second = tools.connect()
    assert second.xautoclaim(stream, GROUP, "second", 60_000)[1] == []
    time.sleep(IDLE_MS / 1000)
    after, entries, deleted = second.xautoclaim(stream, GROUP, "second", IDLE_MS)
    assert (after, deleted) == (FIRST_PAGE, [])
    assert entries == [(ids[number], message_of(number)) for number in (1, 2, 4)]
    pending = [(one["message_id"], one["consumer"], one["times_delivered"]) for one in pending_of(client, stream)]
    assert pending == [(identifier, "second", 2) for identifier in ids_of(entries)]
    assert client.xpending(stream, GROUP)["consumers"] == [{"name": "second", "pending": 3}]
    assert second.xack(stream, GROUP, *ids_of(entries)) == 3


@scenario("retry: many are claimed page by page")
def pages(tools):
    client, stream, ids = abandoned(tools, 25)
    found = claim_all(client, stream, "second", 0, 10)
    assert [len(page) for page in found] == [10, 10, 5]
    assert [identifier for page in found for identifier in ids_of(page)] == ids


@scenario("retry: of two who claim each message goes to one")
def two_claimers(tools):
    _, stream, ids = abandoned(tools, 40)
    time.sleep(IDLE_MS / 1000)
    claimers = [tools.connect(), tools.connect()]
    with Background() as background:
        claiming = [
            background.submit(claim_all, claimer, stream, f"claimer {number}", IDLE_MS, 7)
            for number, claimer in enumerate(claimers)
        ]
        claimed = [identifier for one in claiming for page in one.result() for identifier in ids_of(page)]
    assert sorted(claimed) == sorted(ids)


@scenario("retry: what fails three times becomes a dead letter")
def dead_letter(tools):
    client, stream, ids = abandoned(tools, 4)
    dead_letters, poison = tools.key("message-delivery-dead"), ids[2]
    for _ in range(2, MOST_DELIVERIES + 1):
        assert give_up(client, stream, dead_letters) == []
        for identifier in ids_of(client.xautoclaim(stream, GROUP, "second", 0)[1]):
            if identifier != poison:
                client.xack(stream, GROUP, identifier)
    [last] = pending_of(client, stream, consumername="second", idle=0)
    assert (last["message_id"], last["times_delivered"]) == (poison, MOST_DELIVERIES)
    assert give_up(client, stream, dead_letters) == [poison]
    [(_, letter)] = client.xrange(dead_letters)
    assert letter == {**message_of(2), "origin": poison, "deliveries": "3"}
    assert client.xpending(stream, GROUP)["pending"] == 0


@scenario("retry: listed by how long they wait, and by who has them")
def listed(tools):
    client, stream, ids = abandoned(tools, 3)
    time.sleep(IDLE_MS / 1000)
    [late] = add_messages(client, stream, 1)
    read_group(client, stream, "second")
    waiting = pending_of(client, stream, idle=IDLE_MS)
    assert [one["message_id"] for one in waiting] == ids
    assert all(IDLE_MS <= one["time_since_delivered"] < 5000 for one in waiting), waiting
    assert [one["message_id"] for one in pending_of(client, stream, count=2)] == ids[:2]
    assert [one["message_id"] for one in pending_of(client, stream, consumername="second")] == [late]
    assert pending_of(client, stream, consumername="nobody") == []


@scenario("retry: claimed by id, with a count of its own or with none")
def by_id(tools):
    client, stream, ids = abandoned(tools, 2)

    def deliveries():
        return [one["times_delivered"] for one in pending_of(client, stream)]

    assert client.xautoclaim(stream, GROUP, "second", 0, justid=True) == ids
    assert deliveries() == [1, 1]
    assert client.xclaim(stream, GROUP, "third", 60_000, ids) == []
    assert client.xclaim(stream, GROUP, "third", 0, ids[1:]) == [(ids[1], message_of(1))]
    client.xclaim(stream, GROUP, "third", 0, ids[:1], retrycount=7)
    assert deliveries() == [7, 2]
    assert client.xclaim(stream, GROUP, "third", 0, ids, justid=True) == ids
    assert deliveries() == [7, 2]


@scenario("retry: a message that was deleted is given up")
def deleted_message(tools):
    client, stream, ids = abandoned(tools, 3)
    client.xdel(stream, ids[1])
    _, entries, deleted = client.xautoclaim(stream, GROUP, "second", 0)
    assert (ids_of(entries), deleted) == ([ids[0], ids[2]], [ids[1]])
    assert client.xpending(stream, GROUP)["pending"] == 2


@scenario("retry: who is sent away leaves nothing pending")
def sent_away(tools):
    client, stream, _ = abandoned(tools, 3)
    assert client.xgroup_delconsumer(stream, GROUP, "crashed") == 3
    assert client.xpending(stream, GROUP)["pending"] == 0
    assert client.xlen(stream) == 3


@scenario("retry: who comes back is told what is no longer there")
def gone_messages(tools):
    client, stream, ids = abandoned(tools, 3)
    assert client.xtrim(stream, minid=ids[1], approximate=False) == 1
    # The library makes an empty message of none.
    assert read_group(client, stream, "crashed", "0") == [(ids[0], {}), (ids[1], message_of(1)), (ids[2], message_of(2))]


@scenario("trimming: about so many stay")
def about_so_many(tools):
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    pipe = client.pipeline(transaction=False)
    for number in range(1000):
        pipe.xadd(stream, {"number": number}, maxlen=100)
    ids = pipe.execute()
    length = client.xlen(stream)
    assert 100 <= length <= 200, length
    assert ids_of(client.xrange(stream)) == ids[-length:]
    client.xtrim(stream, minid=ids[-1], approximate=True)
    assert client.xlen(stream) <= 100


@scenario("trimming: exactly so many stay")
def exactly_so_many(tools):
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    ids = add_messages(client, stream, 20)
    assert client.xtrim(stream, maxlen=8, approximate=False) == 12
    assert client.xtrim(stream, maxlen=8, approximate=False) == 0
    added = client.xadd(stream, message_of(20), maxlen=2, approximate=False)
    assert ids_of(client.xrange(stream)) == [ids[19], added]


@scenario("trimming: what is older goes")
def older(tools):
    client, stream = tools.connect(), tools.key("message-delivery-stream")
    add_messages(client, stream, 5)
    since = milliseconds(client)
    eventually("the clock goes on", lambda: milliseconds(client) > since)
    fresh = add_messages(client, stream, 2)
    assert client.xtrim(stream, minid=since + 1, approximate=False) == 5
    assert ids_of(client.xrange(stream)) == fresh
    last = client.xadd(stream, message_of(7), minid=fresh[1], approximate=False)
    assert ids_of(client.xrange(stream)) == [fresh[1], last]


def milliseconds(client):
    """The server's time, of which ids are made."""
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000
