//! A real tmux as an oracle: a pane of a given size that is fed bytes and asked what it shows.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use intentloop::term::Size;

/// Rows without trailing blanks, the cursor's column (the width when a wrap is pending) and row.
pub type Shown = (Vec<String>, usize, usize);

/// Ends whatever is unfinished; then asks for the cursor, whose answer tells that all was taken.
pub const MARK: &[u8] = b"\x1b\\\x1b[6n";

/// What makes a used pane a fresh one.
const RESET: &[u8] = b"\x1b\\\x1b[?1049l\x1b[?47l\x1bc\x1b[!p\x1b[H\x1b[2J\x1b[3J";

/// A server of its own with one pane, in which `cat` hands on what is written to a FIFO, and a
/// client that speaks tmux's control protocol.
pub struct Tmux {
    dir: PathBuf,
    client: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    pane_in: File,
    pane_out: File,
}

impl Tmux {
    /// A pane of `size`. tmux must be installed: it is no test without it.
    pub fn start(size: Size) -> Tmux {
        let name = format!("tmux-{}", std::process::id());
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        for fifo in ["in", "out"] {
            let made = Command::new("mkfifo").arg(dir.join(fifo)).status().expect("mkfifo");
            assert!(made.success());
        }
        let script =
            format!("cd '{}'; stty raw -echo; cat in & exec cat >out </dev/tty", dir.display());
        let mut command = tmux(&dir);
        command.args(["-u", "-f", "/dev/null", "new-session", "-d"]);
        command.args(["-x", &size.cols.to_string(), "-y", &size.rows.to_string(), &script]);
        command.args([";", "set", "-g", "status", "off"]);
        command.args([";", "set", "-g", "window-size", "manual"]);
        command.args([";", "resize-window", "-x", &size.cols.to_string()]);
        command.args(["-y", &size.rows.to_string()]);
        assert!(command.status().expect("tmux must be installed: run .ci/setup").success());
        let mut client = tmux(&dir)
            .args(["-u", "-C", "attach"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tmux");
        let commands = client.stdin.take().expect("a pipe");
        let answers = BufReader::new(client.stdout.take().expect("a pipe"));
        let pane_in = OpenOptions::new().write(true).open(dir.join("in")).expect("the pane");
        let pane_out = File::open(dir.join("out")).expect("the pane");
        let mut tmux = Tmux { dir, client, commands, answers, pane_in, pane_out };
        // The answer to the attaching itself.
        tmux.answer();
        tmux
    }

    /// What the pane shows after `bytes` and [`MARK`].
    pub fn shown(&mut self, bytes: &[u8]) -> Shown {
        self.feed(RESET);
        self.feed(bytes);
        let cursor = self.ask("display-message -p '#{cursor_x} #{cursor_y}'");
        let (x, y) = cursor[0].split_once(' ').expect("a position");
        let rows = self.ask("capture-pane -p -e");
        let rows = rows.iter().map(|row| plain(row).trim_end().to_owned()).collect();
        (rows, x.parse().expect("a column"), y.parse().expect("a row"))
    }

    /// tmux's name and version.
    pub fn version(&mut self) -> String {
        format!("tmux {}", self.ask("display-message -p '#{version}'")[0])
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.pane_in
            .write_all(bytes)
            .and_then(|()| self.pane_in.write_all(MARK))
            .expect("the pane");
        let mut reply = Vec::new();
        let is_position = |reply: &[u8]| {
            let at = reply.iter().rposition(|b| *b == 0x1b);
            at.is_some_and(|at| {
                let body = &reply[at..];
                body.ends_with(b"R") && body.iter().filter(|b| **b == b';').count() == 1
            })
        };
        while !is_position(&reply) {
            let mut byte = [0];
            self.pane_out.read_exact(&mut byte).expect("the pane answers");
            reply.push(byte[0]);
        }
    }

    fn ask(&mut self, command: &str) -> Vec<String> {
        writeln!(self.commands, "{command}").expect("tmux");
        self.answer()
    }

    /// The lines of the next answer, notifications left out.
    fn answer(&mut self) -> Vec<String> {
        let mut lines: Option<Vec<String>> = None;
        loop {
            let mut line = Vec::new();
            let len = self.answers.read_until(b'\n', &mut line).expect("tmux");
            assert!(len > 0, "tmux has gone");
            let line = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            match &mut lines {
                None if line.starts_with("%begin ") => lines = Some(Vec::new()),
                None => {}
                Some(lines) if line.starts_with("%end ") => return std::mem::take(lines),
                Some(lines) => {
                    assert!(!line.starts_with("%error "), "{lines:?}");
                    lines.push(line);
                }
            }
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = tmux(&self.dir).arg("kill-server").status();
        let _ = self.client.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn tmux(dir: &std::path::Path) -> Command {
    let mut command = Command::new("tmux");
    // A socket's path must be short.
    command.current_dir(dir).args(["-S", "socket"]).env_remove("TMUX");
    command.env("LC_ALL", OsString::from("C.UTF-8"));
    command
}

/// A captured row without its attributes, line drawing characters put in their place.
fn plain(row: &str) -> String {
    const GRAPHICS: &str = " ◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·";
    let mut out = String::new();
    let mut chars = row.chars();
    let mut graphics = false;
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                chars.by_ref().find(|c| c.is_ascii_alphabetic() || *c == '\\');
            }
            '\x0e' => graphics = true,
            '\x0f' => graphics = false,
            '_'..='~' if graphics => {
                out.extend(GRAPHICS.chars().nth(c as usize - '_' as usize));
            }
            c => out.push(c),
        }
    }
    out
}
