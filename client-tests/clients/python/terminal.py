"""redis-cli in a terminal: prompts, replies for people, and what only works there."""

from harness import OTHER_DB, TARGET, eventually, scenario


@scenario("terminal: commands, replies and prompts")
def commands(tools):
    cli, jobs = tools.connect(), tools.key("job_queue")
    session = cli.in_terminal()
    session.until(cli.prompt)
    for command, reply in [
        (f"LPUSH {jobs} one two", "(integer) 2"),
        (f"LRANGE {jobs} 0 -1", '1) "two"\r\n2) "one"\r\n'),
        (f'LPUSH {jobs} "spaced \\"word\\""', "(integer) 3"),
        (f"LINDEX {jobs} 0", '"spaced \\"word\\""'),
        (f"GET {jobs}", "(error) WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("GET no_such_key", "(nil)"),
        (f"2 LLEN {jobs}", "(integer) 3\r\n(integer) 3"),
    ]:
        session.ask(command, reply, cli.prompt)
    session.ask(f"SELECT {OTHER_DB}", "OK", f"{TARGET['port']}[{OTHER_DB}]> " if OTHER_DB else f"{TARGET['port']}> ")
    session.enter("quit")
    assert session.ended() == 0


@scenario("terminal: help and hints, which the server gives")
def hints(tools):
    cli = tools.connect()
    session = cli.in_terminal()
    session.until(cli.prompt)
    session.enter("HELP LLEN")
    for told in ("LLEN key", "summary: ", "since: 1.0.0", "group: list", cli.prompt):
        session.until(told)
    session.press(b"LRANGE ")
    session.until("key start stop")


@scenario("terminal: RESP3 on the way")
def hello(tools):
    cli, online = tools.connect(), tools.key("user:online")
    session = cli.in_terminal()
    session.until(cli.prompt)
    session.ask("HELLO 3", '"proto" => (integer) 3', cli.prompt)
    session.ask(f"SADD {online} ann", "(integer) 1", cli.prompt)
    session.ask(f"SMEMBERS {online}", '1~ "ann"', cli.prompt)


@scenario("terminal: a transaction has a prompt of its own")
def transaction(tools):
    cli, counter = tools.connect(), tools.key("counter")
    session = cli.in_terminal()
    session.until(cli.prompt)
    queueing = cli.prompt.replace("> ", "(TX)> ")
    session.ask("MULTI", "OK", queueing)
    session.ask(f"INCR {counter}", "QUEUED", queueing)
    session.ask(f"EVAL \"return redis.call('INCR', KEYS[1])\" 1 {counter}", "QUEUED", queueing)
    session.ask("EXEC", "1) (integer) 1\r\n2) (integer) 2\r\n", cli.prompt)
    session.ask("MULTI", "OK", queueing)
    session.ask(f"INCR {counter}", "QUEUED", queueing)
    session.ask("DISCARD", "OK", cli.prompt)
    session.ask(f"GET {counter}", '"2"', cli.prompt)


@scenario("terminal: listening, and commands again")
def listening(tools):
    cli, channel = tools.connect(), tools.key("job_updates")
    session = cli.in_terminal()
    session.until(cli.prompt)
    session.enter(f"SUBSCRIBE {channel}")
    session.until('1) "subscribe"')
    session.until("3) (integer) 1")
    assert cli("PUBLISH", channel, "COMPLETED") == "1"
    session.until(f'1) "message"\r\n2) "{channel}"\r\n3) "COMPLETED"\r\n')
    # Any key leads to a prompt.
    session.press(b" ")
    session.until("(subscribed mode)> ")
    session.enter(f"UNSUBSCRIBE {channel}")
    session.until('1) "unsubscribe"')
    session.until("3) (integer) 0")
    assert cli("PUBLISH", channel, "unseen") == "0"


@scenario("terminal: the server goes and comes back")
def restart(tools):
    server, cli = tools.own_server(), tools.connect()
    session = cli.in_terminal()
    session.until(cli.prompt)
    server.kill()
    session.enter("PING")
    session.until("not connected> ")
    server.start()
    session.enter("CLIENT GETNAME")
    session.until("(nil)")
    # It is logged in and in its database again.
    session.until(cli.prompt)


@scenario("terminal: rolling statistics")
def statistics(tools):
    cli, key = tools.connect(), tools.key("counted")
    cli("SET", key, "v")
    session = cli.in_terminal("--stat", "-i", "0.05")
    heading = session.until("keys       mem      clients blocked requests            connections")
    assert "data" in heading and "load" in heading
    rows = [session.until("\r\n").split() for _ in range(4)][1:]
    assert all(int(row[0]) >= 1 and row[1][-1] in "BKMG" for row in rows), rows
    session.interrupt()
    eventually("it ended", lambda: session.process.poll() is not None)
