"""The end of a run: what failed, what was skipped and why, and one table of documents, clients and servers.

It knows the outcomes of scenarios, and neither how they came about nor what they do.
"""

import shutil
import string
from dataclasses import dataclass, field

import languages
from documents import BEYOND, COLUMNS, DOCUMENTS, NODE, clients_of, part_of

SHORT_NAMES = {"redis-7.0": "7.0", "redis-8.0": "8.0", "valkey-9.1": "9.1"}
TABLE_WIDTH = 170
LABEL_WIDTH = 40


def report(runs, servers, seconds):
    """Prints everything, and returns the status of the program."""
    print()
    for run in runs:
        for scenario, reason in run.failed:
            print(f"FAILED  {run.client.name} on {run.server.name}: {scenario}: {reason}")
    programs = {run.client.name for run in runs}
    for (server, reason), names in skipped_by_reason(runs).items():
        print(f"SKIPPED on {server}: {reason} ({'every client' if len(names) == len(programs) else ', '.join(names)})")
    table = Table(runs, servers)
    table.print()
    passed, failed, skipped = (
        sum(len(run.passed) for run in runs), sum(len(run.failed) for run in runs), sum(len(run.skipped) for run in runs)
    )
    print(f"\nin {seconds:.0f} s")
    print(f"{passed} passed, {failed} failed{f', {skipped} skipped' if skipped else ''}")
    return 0 if passed and not failed and not table.unexplained else 1


def skipped_by_reason(runs):
    reasons = {}
    for run in runs:
        for scenario, reason in run.skipped:
            whole = reason if scenario == "everything" else f"{scenario}: {reason}"
            reasons.setdefault((run.server.name, whole), []).append(run.client.name)
    return reasons


@dataclass
class Cell:
    """One part with one client on one server."""

    passed: int = 0
    failed: int = 0
    reasons: list = field(default_factory=list)


class Table:
    """Rows are the parts of documents, columns the clients with every server."""

    def __init__(self, runs, servers):
        self.servers = servers
        self.runs = {(run.client.name, run.server.name): run for run in runs}
        self.cells = {}
        self.notes = {}
        self.unexplained = []
        for run in runs:
            self.count(run)
        self.clients = [name for name in COLUMNS if any(client == name for _, client, _ in self.cells)]

    def count(self, run):
        for scenario in run.passed:
            for cell in self.cells_of(scenario, run):
                cell.passed += 1
        for scenario, _ in run.failed:
            for cell in self.cells_of(scenario, run):
                cell.failed += 1
        for scenario, reason in run.skipped:
            for cell in self.cells_of(scenario, run):
                cell.reasons.append(reason)

    def cells_of(self, scenario, run):
        name = run.client.name
        # A program that several libraries share, and that ended as a whole, counts with each of them.
        clients = [client for client in clients_of(scenario, name) if client in COLUMNS] or NODE
        part = part_of(scenario, name).name
        return [self.cells.setdefault((part, client, run.server.name), Cell()) for client in clients]

    def print(self):
        columns_at_once = max(1, (shutil.get_terminal_size((TABLE_WIDTH, 24)).columns - LABEL_WIDTH) // (self.group_width() + 3))
        for first in range(0, len(self.clients), columns_at_once):
            self.print_clients(self.clients[first : first + columns_at_once])
        self.print_legend()

    def print_clients(self, clients):
        print()
        self.print_row("", [client.center(self.group_width()).rstrip() for client in clients])
        self.print_row("", [languages.version_of(client).center(self.group_width()).rstrip() for client in clients])
        self.print_row("", [self.group(map(short_name, self.servers)) for _ in clients])
        for document in (*DOCUMENTS, BEYOND):
            print(document.name)
            for part in document.parts:
                if document is BEYOND and not self.has_row(part):
                    continue
                self.print_row(f"  {part.name}", [self.texts(part, client) for client in clients])
        self.print_row("all that passed", [self.totals(client) for client in clients])

    def has_row(self, part):
        return any(name == part.name for name, _, _ in self.cells)

    def print_row(self, label, groups):
        print(" | ".join([label.ljust(LABEL_WIDTH), *(group.ljust(self.group_width()) for group in groups)]).rstrip())

    def group(self, texts):
        return " ".join(text.rjust(max(3, len(short_name(server)))) for text, server in zip(texts, self.servers))

    def group_width(self):
        widths = [max(3, len(short_name(server))) for server in self.servers]
        return max(16, sum(widths) + len(widths) - 1)

    def texts(self, part, client):
        return self.group(self.text(part, client, server) for server in self.servers)

    def text(self, part, client, server):
        cell = self.cells.get((part.name, client, server.name), Cell())
        if cell.failed:
            return f"!{cell.failed}"
        if cell.passed:
            return str(cell.passed)
        reason = next(iter(cell.reasons), "") or self.why_empty(part, client, server)
        if reason:
            return self.notes.setdefault(reason, note_letter(len(self.notes)))
        self.unexplained.append((part.name, client, server.name))
        return "?"

    def why_empty(self, part, client, server):
        """An empty string where something should have been tested."""
        if client not in part.clients:
            return part.otherwise
        run = self.runs.get((part.program or client, server.name))
        if not run:
            return "not in this run"
        return "" if run.finished else "its program did not run to the end"

    def totals(self, client):
        passed = {server.name: 0 for server in self.servers}
        for (_, name, server), cell in self.cells.items():
            passed[server] += cell.passed if name == client else 0
        return self.group(map(str, passed.values()))

    def print_legend(self):
        versions = [f"{short_name(server)}: {languages.version_of_server(server)}" for server in self.servers if server.binary]
        print(f"\n{', '.join(versions)}")
        print(f"packages: {languages.packages()}")
        print("A number counts what passed, !2 means that two failed, a letter that it does not apply:")
        for reason, letter in self.notes.items():
            print(f"  {letter}  {reason}")
        for part, client, server in self.unexplained:
            print(f"  ?  {part}, {client} on {server}: nothing was tested, and nothing says why")


def short_name(server):
    return SHORT_NAMES.get(server.name, server.name)


def note_letter(number):
    return string.ascii_lowercase[number]
