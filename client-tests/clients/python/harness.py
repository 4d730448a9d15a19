"""Runs scenarios one after the other and prints a line for each: `pass|fail|skip <tab> scenario <tab> reason`, then `done`."""

import os
import signal
import subprocess
import time
import traceback

SECONDS_PER_SCENARIO = 20

TARGET = {
    "host": os.environ["TARGET_HOST"],
    "port": int(os.environ["TARGET_PORT"]),
    "username": os.environ["TARGET_USER"] or None,
    "password": os.environ["TARGET_PASSWORD"] or None,
    "db": int(os.environ["TARGET_DB"]),
}
OTHER_DB = int(os.environ["TARGET_OTHER_DB"])
DEAD_PORT = int(os.environ["TARGET_DEAD_PORT"])

scenarios = []


class Skip(Exception):
    """A reason to skip that only shows once the scenario runs."""


def scenario(name):
    def register(function):
        scenarios.append((name, function))
        return function

    return register


def eventually(what, attempt):
    """Waits until `attempt` returns something true."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if attempt():
            return
        time.sleep(0.025)
    raise AssertionError(f"not within 10 s: {what}")


def only_since(version, client, what):
    """Skips what servers before this version of Redis do in another way; redlet and Valkey tell the version that they follow."""
    told = [int(number) for number in client.info("server")["redis_version"].split(".")]
    if told < [int(number) for number in version.split(".")]:
        raise Skip(f"before Redis {version} {what}")


class Server:
    """Takes the server away and brings it back on the same port (a start of what runs does nothing)."""

    def __init__(self, port, parameters=""):
        self.port = port
        self._environment = {**os.environ, "SERVER_PARAMETERS": parameters}

    def _control(self, verb):
        subprocess.run([os.environ["TARGET_CONTROL"], verb, str(self.port)], env=self._environment, check=True)

    def start(self):
        self._control("start")

    def stop(self):
        self._control("stop")

    def kill(self):
        self._control("kill")

    def clear(self):
        """Ends it, and what it has kept is gone."""
        self._control("clear")


class Tools:
    """What a scenario works with; `connect` is the library's way to make a client from settings."""

    server = Server(TARGET["port"]) if os.environ["TARGET_CONTROL"] else None

    def __init__(self, connect):
        self._connect = connect
        self._opened = []
        self._keys = []
        self._keeping = None

    def connect(self, **settings):
        client = self._connect(**{**TARGET, **settings})
        self._opened.append(client)
        return client

    def key(self, text):
        """A key that no other scenario and no earlier run uses; it is removed at the end."""
        self._keys.append(f"{text}:{time.time_ns()}")
        return self._keys[-1]

    def own_server(self):
        if not self.server:
            raise Skip("only on a server that the tests may end")
        return self.server

    def keeping_server(self, parameters):
        """A server besides the other, which starts empty and keeps its data as its parameters say."""
        self.own_server()
        self._keeping = Server(int(os.environ["TARGET_KEEPING_PORT"]), parameters)
        self._keeping.start()
        return self._keeping

    def remove_keys(self):
        for database in (TARGET["db"], OTHER_DB):
            if self._keys:
                self.connect(db=database).delete(*self._keys)

    def close(self):
        for client in self._opened:
            client.close()
        if self._keeping:
            self._keeping.clear()
        if self.server:
            self.server.start()


def run_all(connect):
    signal.signal(signal.SIGALRM, too_late)
    for name, function in scenarios:
        kind, reason = run_one(connect, function)
        print("\t".join([kind, name] + ([reason.replace("\n", " ")] if reason else [])), flush=True)
    print("done", flush=True)


def too_late(_signal, _frame):
    raise TimeoutError(f"took longer than {SECONDS_PER_SCENARIO} s")


def run_one(connect, function):
    tools = Tools(connect)
    signal.alarm(SECONDS_PER_SCENARIO)
    try:
        function(tools)
        tools.remove_keys()
        return "pass", ""
    except Skip as skip:
        return "skip", str(skip)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = next((frame for frame in reversed(frames) if ".work" not in frame.filename), frames[-1])
        return "fail", f"{type(error).__name__}: {error} at {os.path.basename(where.filename)}:{where.lineno}: {where.line}"
    finally:
        signal.alarm(0)
        tools.close()
