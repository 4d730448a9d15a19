"""redis-cli: the program that REDIS_CLI names, with its output in a pipe, as in a script, or in a terminal, as for people."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from harness import run_all

# Importing a module registers its scenarios.
import command_line  # noqa: F401, I001
import terminal  # noqa: F401

PROGRAM = os.environ["REDIS_CLI"]
SECONDS_TO_WAIT = 10
ESCAPE_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class RedisCli:
    """One way to call the program; every call is a process of its own."""

    def __init__(self, host, port, username, password, db):
        self.prompt = f"{host}:{port}[{db}]> " if db else f"{host}:{port}> "
        self._address = ["-h", host, "-p", str(port), "-n", str(db), *(["--user", username] if username else [])]
        self._environment = {**os.environ, "TERM": "xterm", "REDISCLI_HISTFILE": "/dev/null"}
        if password:
            self._environment["REDISCLI_AUTH"] = password
        self._sessions = []

    def run(self, *words, stdin=b""):
        """Runs to the end: its output, without the last line's end, and its status."""
        command = [PROGRAM, *self._address, *words]
        ended = subprocess.run(
            command, input=stdin, env=self._environment, timeout=SECONDS_TO_WAIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return ended.stdout.decode().removesuffix("\n"), ended.returncode

    def __call__(self, *words, stdin=b""):
        """The output alone."""
        return self.run(*words, stdin=stdin)[0]

    def start(self, *words):
        """Goes on until it is closed, with its output in a pipe."""
        ours, theirs = os.pipe()
        return self._session(words, ours, theirs, subprocess.DEVNULL)

    def in_terminal(self, *words):
        """Goes on until it is closed, in a terminal."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        return self._session(words, ours, theirs, theirs)

    def _session(self, words, ours, theirs, stdin):
        # Where this was started with the interrupt ignored, the program would ignore it, too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command = [PROGRAM, *self._address, *words]
        process = subprocess.Popen(
            command, env=self._environment, stdin=stdin, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._sessions.append(Session(process, ours))
        return self._sessions[-1]

    def delete(self, *keys):
        self("DEL", *keys)

    def close(self):
        for session in self._sessions:
            session.close()


class Session:
    """A program that still runs."""

    def __init__(self, process, output):
        self.process = process
        self._output = output
        self._unread = ""

    def until(self, expected):
        """Reads until the text comes, and returns everything up to its end."""
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while expected not in self._unread:
            ready, _, _ = select.select([self._output], [], [], max(0, deadline - time.monotonic()))
            more = self._read() if ready else ""
            assert more, f"there is no {expected!r} in {self._unread[-500:]!r}"
            self._unread = ESCAPE_SEQUENCES.sub("", self._unread + more)
        end = self._unread.index(expected) + len(expected)
        read, self._unread = self._unread[:end], self._unread[end:]
        return read

    def _read(self):
        try:
            return os.read(self._output, 1 << 16).decode(errors="replace")
        except OSError:
            # The end of a terminal whose other side is closed.
            return ""

    def enter(self, line):
        os.write(self._output, line.encode() + b"\r")

    def press(self, key):
        os.write(self._output, key)

    def ask(self, line, reply, prompt):
        """What is typed before the prompt has come would get lost in it."""
        self.enter(line)
        self.until(reply)
        self.until(prompt)

    def ended(self):
        return self.process.wait(SECONDS_TO_WAIT)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.kill()
        os.close(self._output)


if __name__ == "__main__":
    run_all(lambda **settings: RedisCli(**settings))
