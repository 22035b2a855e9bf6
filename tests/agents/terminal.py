"""A terminal for a program: a PTY, a screen to look at, keys, and answers to what programs ask."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pyte

COLUMNS, ROWS = 100, 32

KEYS = {"enter": b"\r", "esc": b"\x1b", "ctrl-c": b"\x03", "ctrl-d": b"\x04", "tab": b"\t",
        "up": b"\x1b[A", "down": b"\x1b[B", "right": b"\x1b[C", "left": b"\x1b[D",
        "shift-tab": b"\x1b[Z"}

# What programs ask of a terminal, and what a common one says.
QUESTIONS = [
    (rb"\x1b\[0?c", lambda m, s: b"\x1b[?62;22c"),
    (rb"\x1b\[>0?c", lambda m, s: b"\x1b[>1;4000;0c"),
    (rb"\x1b\[=0?c", lambda m, s: b"\x1bP!|00000000\x1b\\"),
    (rb"\x1b\[>0?q", lambda m, s: b"\x1bP>|terminal(1.0)\x1b\\"),
    (rb"\x1b\[5n", lambda m, s: b"\x1b[0n"),
    (rb"\x1b\[(\??)6n", lambda m, s: b"\x1b[%s%d;%dR" % (m[1], s.cursor.y + 1, s.cursor.x + 1)),
    (rb"\x1b\[\?996n", lambda m, s: b"\x1b[?997;1n"),
    (rb"\x1b\[\?u", lambda m, s: b"\x1b[?0u"),
    (rb"\x1b\[\?(\d+)\$p", lambda m, s: b"\x1b[?%s;2$y" % m[1]),
    (rb"\x1b\](1[0-9]|4;\d+);\?(\x07|\x1b\\)",
     lambda m, s: b"\x1b]%s;rgb:%s%s" % (
         m[1], b"1010/1010/1818" if m[1] == b"11" else b"d0d0/d0d0/d0d0", m[2])),
    (rb"\x1b\[14t", lambda m, s: b"\x1b[4;%d;%dt" % (ROWS * 18, COLUMNS * 9)),
    (rb"\x1b\[16t", lambda m, s: b"\x1b[6;18;9t"),
    (rb"\x1b\[18t", lambda m, s: b"\x1b[8;%d;%dt" % (ROWS, COLUMNS)),
    (rb"\x1bP\+q([0-9a-fA-F;]+)\x1b\\", lambda m, s: b"\x1bP0+r%s\x1b\\" % m[1]),
    (rb"\x1b_G[^\x1b]*a=q[^\x1b]*\x1b\\", lambda m, s: b"\x1b_Gi=31;ENOTSUPPORTED\x1b\\"),
]
QUESTION = re.compile(b"|".join(b"(?:%s)" % re.sub(rb"\((?!\?)", b"(?:", q) for q, _ in QUESTIONS))

# Sequences that pyte would print or misread.
UNKNOWN = re.compile(
    rb"\x1b\[[<>=][0-9;:]*[ -/]*[@-~]|\x1b\[\?[0-9;]*(?:\$p|[unm])|\x1b\[[0-9;]*(?: q|[tuS])"
    rb"|\x1bP[^\x1b]*\x1b\\|\x1b_[^\x1b]*\x1b\\|\x1b\[[0-9]*;?[0-9]*:[0-9:;]*m")
UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[\]P_][^\x07\x1b]*\x1b?)?$")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv, env, cwd, log=None):
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.Stream(self.screen)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.rest = b""
        self.changed = time.monotonic()
        self.status = None
        self.log = open(log, "w") if log else None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execvpe(argv[0], argv, env)
        # The child may look before it has set its own.
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", ROWS, COLUMNS, COLUMNS * 9, ROWS * 18))

    @property
    def over(self):
        return self.status is not None

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def snap(self, name):
        if self.log:
            self.log.write(f"===== {name}\n{self.text()}\n")
            self.log.flush()

    def write(self, raw):
        try:
            os.write(self.fd, raw)
        except OSError:
            pass

    def key(self, name):
        self.write(KEYS.get(name, name.encode()))

    def type(self, text):
        """Types as a person would: a burst would be taken for a paste."""
        for char in text:
            self.write(char.encode())
            self.pump(0.02)

    def pump(self, seconds):
        """Shows what the program writes, for that long."""
        end = time.monotonic() + seconds
        while not self.over:
            left = end - time.monotonic()
            if left <= 0:
                return
            if not select.select([self.fd], [], [], left)[0]:
                return
            try:
                raw = os.read(self.fd, 65536)
            except OSError:
                raw = b""
            if not raw:
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                return
            self.changed = time.monotonic()
            self.feed(self.rest + raw)

    def feed(self, raw):
        cut = UNFINISHED.search(raw[-4096:])
        at = len(raw) - len(cut.group()) if cut else len(raw)
        raw, self.rest = raw[:at], raw[at:]
        # In pieces, so that a question about the cursor is answered where it was asked.
        start = 0
        for asked in QUESTION.finditer(raw):
            self.show(raw[start:asked.start()])
            start = asked.end()
            for question, answer in QUESTIONS:
                if match := re.fullmatch(question, asked.group()):
                    self.write(answer(match, self.screen))
                    break
        self.show(raw[start:])

    def show(self, raw):
        try:
            self.stream.feed(self.decoder.decode(UNKNOWN.sub(b"", raw)))
        except Exception as error:  # a sequence that pyte does not know costs a cell, not the run
            if self.log:
                self.log.write(f"pyte: {error!r}\n")

    def wait(self, holds, timeout_s):
        """Whether `holds` came true in time."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and not self.over:
            if holds():
                return True
            self.pump(0.1)
        return holds()

    def settle(self, quiet_s, timeout_s=15):
        """Until nothing has been drawn for that long."""
        self.changed = time.monotonic()
        self.wait(lambda: time.monotonic() - self.changed > quiet_s, timeout_s)

    def shows(self, pattern):
        return re.search(pattern, self.text()) is not None

    def close(self):
        """Ends what has not ended."""
        for number in (signal.SIGHUP, signal.SIGKILL):
            if self.over:
                break
            os.kill(self.pid, number)
            self.wait(lambda: self.over, 5)
        os.close(self.fd)
        if self.log:
            self.log.close()
