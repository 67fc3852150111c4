"""Types the walk of the README, each terminal into a shell below another root.

walk.py ROOT
"""

import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The limit of a wait for a line.
LIMIT = 60
STEP = re.compile(r"<!-- walk(: server)? -->\n```sh\n(.*?)```\n(?:```text\n(.*?)```)?", re.S)


class Terminal:
    """A shell with nothing but the usual programs on its path."""

    def __init__(self, root: str, folder: str):
        environment = ["env", "-i", "PATH=/usr/bin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
        start = f"mkdir {folder} && cd {folder} && exec bash --norc"
        command = ["chroot", root, *environment, "bash", "-c", start]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.shell = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
        self.lines = queue.Queue()
        self.printed = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.shell.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def run(self, commands: str, expected: str) -> None:
        """Types a block, and waits for its lines, in any order, since several programs write."""
        self.shell.stdin.write(commands)
        self.shell.stdin.flush()
        wanted = [self.pattern(line) for line in expected.splitlines()]
        while wanted:
            try:
                line = self.lines.get(timeout=LIMIT)
            except queue.Empty:
                line = None
            if line is None:
                print(*self.printed, sep="\n", file=sys.stderr)
                sys.exit(f"the walk: not printed after\n{commands}")
            self.printed.append(line)
            wanted = [pattern for pattern in wanted if not pattern.search(line)]

    @staticmethod
    def pattern(line: str) -> re.Pattern:
        return re.compile(".*".join(re.escape(part) for part in line.split("…")))

    def end(self) -> None:
        self.shell.stdin.close()
        code = self.shell.wait(LIMIT)
        if code != 0:
            sys.exit(f"the walk: a shell has ended with {code}")


def main(root: str) -> None:
    steps = STEP.findall((ROOT / "README.md").read_text())
    assert len(steps) == 9, "the walk was not found"
    first, second = Terminal(root, "first"), Terminal(root, "second")
    for of_server, commands, expected in steps:
        terminal = first if of_server else second
        terminal.run(commands, expected)
    second.end()
    # Ctrl-C does the same.
    os.killpg(first.shell.pid, signal.SIGINT)
    first.end()
    print(f"the walk of the README works in a new Debian: {len(steps)} steps, with curl and the package")


main(sys.argv[1])
