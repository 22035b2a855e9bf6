#!/usr/bin/env python3
"""Records programs at work into recordings/NAME.cast.gz: record.py DIR NAME...

DIR is scratch. vim, htop, less, git and apt are Debian's; htop needs leave to make a namespace,
apt leave to install the package named in it, which must have been downloaded and not installed;
ink needs `npm install ink react` in DIR. Keys are sent at fixed times, so that a recording made
again differs little. The truth files beside the recordings were then drawn up by hand from what
the programs print to a pipe: what stands on the screen long enough to be read, once, in order."""

import codecs
import fcntl
import gzip
import json
import os
import pathlib
import pty
import select
import struct
import subprocess
import sys
import termios
import time

COLUMNS, ROWS = 100, 32
HERE = pathlib.Path(__file__).parent / "recordings"


def record(name, argv, keys, cwd, env=None):
    """Runs `argv` on a terminal; `keys` are pairs of seconds to wait and bytes to type."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PAGER": "less"})
        os.environ.update(env or {})
        os.execvp(argv[0], argv)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = time.monotonic()
    due = start
    pending = list(keys)
    lines = [json.dumps({"version": 2, "width": COLUMNS, "height": ROWS})]
    if pending:
        due += pending[0][0]
    while True:
        wait = max(0, due - time.monotonic()) if pending else None
        if select.select([terminal], [], [], wait)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                data = b""
            if not data:
                break
            now = round(time.monotonic() - start, 6)
            lines.append(json.dumps([now, "o", decoder.decode(data)], ensure_ascii=False))
        elif pending:
            os.write(terminal, pending.pop(0)[1])
            due += pending[0][0] if pending else 0
    os.waitpid(pid, 0)
    with gzip.GzipFile(HERE / f"{name}.cast.gz", "wb", 9, mtime=0) as out:
        out.write("\n".join(lines).encode() + b"\n")


def typed(text, pause=0.05):
    return [(pause, char.encode()) for char in text]


def numbered(path, count):
    words = "the quick brown fox jumps over a lazy dog while nobody looks at it".split()
    with open(path, "w") as out:
        for n in range(1, count + 1):
            text = " ".join(words[(n * 5 + i * 3) % len(words)] for i in range(3 + n % 9))
            out.write(f"{n:4} {text}\n" if n % 11 else "\n")


def less(scratch):
    numbered(scratch / "story.txt", 200)
    keys = [(1, b" "), (1, b" "), (1, b"b"), (1, b" ")] + [(0.5, b"j")] * 8
    keys += [(1, b"k"), (0.6, b"k"), (0.6, b"j"), (0.6, b"j"), (1, b"/")] + typed("102 \r")
    keys += [(1.5, b"q")]
    record("less", ["less", "story.txt"], keys, scratch)


def vim(scratch):
    (scratch / "notes.txt").write_text("".join(f"{n}. note number {n}\n" for n in range(1, 61)))
    keys = [(1, b"o")] + typed("a line written in the editor") + [(0.5, b"\r")]
    keys += typed("and another one below it") + [(0.7, b"\x1b"), (0.7, b"5"), (0.1, b"j")]
    keys += [(0.6, b"d"), (0.1, b"d"), (1, b"\x06"), (1.2, b"\x06"), (1.2, b"G"), (1, b"o")]
    keys += typed("the last line") + [(0.6, b"\x1b"), (0.6, b":")] + typed("wq\r")
    record("vim", ["vim", "-u", "NONE", "-N", "-i", "NONE", "notes.txt"], keys, scratch)


def git(scratch):
    repository = scratch / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    for n in range(1, 41):
        date = f"2026-01-{1 + n // 2:02}T12:{n:02}:00Z"
        who = {"NAME": "test", "EMAIL": "test@localhost", "DATE": date}
        env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
               for key, value in who.items()}
        subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", f"change number {n}",
                        "-m", f"Because of reason {n}."], cwd=repository, check=True,
                       env={**os.environ, **env})
    keys = [(1, b" "), (1, b" ")] + [(0.5, b"j")] * 5 + [(1, b"q")]
    record("git-log", ["git", "-c", "color.ui=always", "log"], keys, repository, {"LESS": "FRX"})


def htop(scratch):
    script = ("sleep 1111 & sleep 2222 & sh -c 'while :; do sleep 0.1; done' & "
              "HTOPRC=/dev/null exec htop -d 10")
    keys = [(4, b"\x1b[B"), (1, b"\x1b[B"), (2, b"q")]
    record("htop", ["unshare", "-pf", "--mount-proc", "sh", "-c", script], keys, scratch)


def apt(scratch):
    record("apt", ["apt-get", "install", "-y", "--no-download", "-o", "Dpkg::Progress-Fancy=1",
                   "htop"], [], scratch, {"DEBIAN_FRONTEND": "noninteractive"})


INK = """
import React, { useEffect, useState } from "react";
import { Box, Static, Text, render, useApp } from "ink";
const h = React.createElement;
const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴"];
function App() {
  const { exit } = useApp();
  const [tick, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTick((t) => t + 1), 80);
    return () => clearInterval(timer);
  }, []);
  const done = Math.min(60, Math.floor(tick / 2));
  useEffect(() => { if (done === 60) exit(); }, [done]);
  const files = Array.from({ length: done }, (_, n) => `built part ${n + 1} of the machine`);
  return h(Box, { flexDirection: "column" },
    h(Static, { items: files }, (file) => h(Text, { key: file, color: "green" }, `✔ ${file}`)),
    done < 60 && h(Box, { borderStyle: "round", paddingX: 1 },
      h(Text, null, `${SPINNER[tick % 6]} Building… ${done}/60`)),
    done === 60 && h(Text, null, "All sixty parts are built."));
}
render(h(App));
"""


def ink(scratch):
    (scratch / "app.mjs").write_text(INK)
    record("ink", ["node", "app.mjs"], [], scratch)


PROGRAMS = {"vim": vim, "htop": htop, "less": less, "git-log": git, "apt": apt, "ink": ink}

if __name__ == "__main__":
    where = pathlib.Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    for program in sys.argv[2:]:
        PROGRAMS[program](where)
