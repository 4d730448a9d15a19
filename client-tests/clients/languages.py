"""Where each language's program and client packages are, why one cannot be used, and how to bring them."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
PEERS = HERE.parent.parent / "scripts/peers"
NODE = HERE / "node"
PYTHON = HERE / "python"
VENV_PYTHON = WORK / "python/bin/python"
GEMS = WORK / "gems"
GEM = ("redis", "4.8.1")

# Programs of the real servers, as clients; the files that drive them are Python without packages.
TOOLS = ("redis-cli", "valkey-cli")


def program(language):
    """The command that runs a file of this language, or an empty list."""
    if language == "python":
        return [str(VENV_PYTHON)] if VENV_PYTHON.exists() else []
    if language == "bun":
        found = bun_binary()
        return [str(found)] if found else []
    if language in TOOLS:
        return [sys.executable] if tool(language) else []
    found = shutil.which(language)
    return [found] if found else []


def bun_binary():
    """The package's install script moves the platform's binary; where npm runs no install scripts it is still there."""
    modules = NODE / "node_modules"
    return next((path for path in [*modules.glob("@oven/bun-*/bin/bun"), modules / "bun/bin/bun.exe"] if path.exists()), None)


@cache
def tool(name):
    """Where a program of the real servers is: among the peers, or on PATH; None when nowhere."""
    found = subprocess.run([PEERS, "path", name], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else shutil.which(name)


def version_of(client):
    """The version of a client's library, as it is installed, and what it runs on where that is not the language's own."""
    if client in TOOLS:
        return version_in([tool(client), "--version"]) if tool(client) else ""
    if client == "redis-rb":
        return version_in(["ruby", "-e", "require 'redis'; puts Redis::VERSION"], environment("ruby", os.environ))
    if client.startswith("redis-py"):
        return version_in([VENV_PYTHON, "-c", "import redis; print(redis.__version__)"])
    if client == "bun-redis":
        return f"Bun {version_in([bun_binary(), '--version'])}"
    name = re.sub(r"-(?=\d)", "", client.removesuffix("-on-bun"))
    return package_version(name) + (f", Bun {version_in([bun_binary(), '--version'])}" if client.endswith("-on-bun") else "")


def version_of_server(server):
    said = subprocess.run([server.binary, "--version"], capture_output=True, text=True).stdout
    number = re.search(r"(?:v=)?(\d+\.\d+\.\d+)", said)
    return f"{server.name.partition('-')[0]} {number.group(1) if number else ''}".strip()


def packages():
    """What is tested on the Node libraries, with versions."""
    names = [
        "redlock-universal-0.6", "redlock-universal-0.8", "redlock4", "redlock5",
        "socket.io", "@socket.io/redis-adapter", "@socket.io/redis-emitter", "@socket.io/redis-streams-adapter",
    ]
    return ", ".join(f"{re.sub('-?[0-9.]+$', '', name)} {package_version(name)}" for name in names)


def package_version(name):
    manifest = NODE / "node_modules" / name / "package.json"
    return json.loads(manifest.read_text())["version"].removeprefix("v") if manifest.exists() else ""


def version_in(command, environment=None):
    try:
        said = subprocess.run(command, capture_output=True, text=True, env=environment).stdout
    except OSError:
        return ""
    number = re.search(r"\d+\.\d+\.\d+\S*", said)
    return number.group() if number else ""


def environment(language, base):
    if language == "ruby":
        return {**base, "GEM_PATH": f"{GEMS}:{base.get('GEM_PATH', '')}"}
    if language in TOOLS:
        return {**base, "REDIS_CLI": tool(language)}
    return base


@cache
def obstacle(language, least_version):
    """Why clients of this language cannot run here; empty when they can."""
    command = program(language)
    if not command:
        remedy = "scripts/peers install" if language in TOOLS else "--install"
        return f"there is no {language} here; {remedy} may bring it"
    version = major_version([tool(language)] if language in TOOLS else command)
    if version < least_version:
        return f"{language} {version} is older than the {least_version} that this client needs"
    if not packages_current(language):
        return f"the packages for {language} are not installed; --install brings them"
    return ""


def major_version(command):
    said = subprocess.run([*command, "--version"], capture_output=True, text=True).stdout
    number = re.search(r"\d+", said)
    return int(number.group()) if number else 0


def packages_current(language):
    if language in TOOLS:
        return True
    if language == "ruby":
        return ruby_has_client()
    if language == "python":
        return is_current(PYTHON / "requirements.txt")
    return is_current(NODE / "package-lock.json")


def install_all():
    for language, install in (("node", install_node), ("python", install_python), ("ruby", install_ruby)):
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"--install: {language}: {error}", file=sys.stderr)
    obstacle.cache_clear()


def install_node():
    if not shutil.which("npm"):
        install_debian("nodejs", "npm")
    lock = NODE / "package-lock.json"
    if not is_current(lock):
        say("the packages of node/package-lock.json")
        subprocess.run(["npm", "ci", "--silent", "--prefer-offline"], cwd=NODE, check=True)
        remember(lock)


def install_python():
    requirements = PYTHON / "requirements.txt"
    if is_current(requirements):
        return
    say("a Python environment with python/requirements.txt")
    make_venv = [sys.executable, "-m", "venv", "--clear", str(WORK / "python")]
    if subprocess.run(make_venv, stdout=subprocess.DEVNULL).returncode != 0:
        install_debian("python3-venv")
        subprocess.run(make_venv, check=True)
    subprocess.run([VENV_PYTHON, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    remember(requirements)


def install_ruby():
    if not shutil.which("ruby") or not ruby_has_client():
        install_debian("ruby", "ruby-redis")
    if shutil.which("gem") and not ruby_has_client():
        say(f"the gem {GEM[0]} {GEM[1]}")
        name, version = GEM
        subprocess.run(["gem", "install", "--no-document", "--install-dir", GEMS, name, "-v", version], check=True)


def ruby_has_client():
    command = ["ruby", "-e", "require 'redis'"]
    return subprocess.run(command, env=environment("ruby", os.environ), capture_output=True).returncode == 0


def install_debian(*packages):
    if not shutil.which("apt-get") or os.geteuid() != 0:
        print(f"--install: {' '.join(packages)}: needs root on a Debian-like machine", file=sys.stderr)
        return
    say(f"the system packages {' '.join(packages)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-qq", "update"], env=quiet, check=True)
    command = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages]
    subprocess.run(command, env=quiet, check=True, stdout=subprocess.DEVNULL)


# What was installed is known by the digest of the list it was installed from.


def is_current(listing):
    stamp = WORK / f"{listing.name}.installed"
    return stamp.exists() and stamp.read_text() == digest(listing) and bool(installed_by(listing))


def installed_by(listing):
    return VENV_PYTHON.exists() if listing.parent == PYTHON else (NODE / "node_modules").exists()


def remember(listing):
    WORK.mkdir(exist_ok=True)
    (WORK / f"{listing.name}.installed").write_text(digest(listing))


def digest(listing):
    return hashlib.sha256(listing.read_bytes()).hexdigest()


def say(what):
    print(f"--install: {what}", flush=True)
