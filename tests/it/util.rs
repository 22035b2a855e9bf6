//! The harness: the real `il` in a home of its own, on a terminal of its own. A [`Home`] holds the
//! store and a scratch directory; a [`Term`] is the terminal emulator's side of a PTY. What `il` has
//! to do is learnt by running the same script without it ([`check_same`]). Waiting is for events;
//! [`GUARD`] only turns a deadlock into a report.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, OutputModes, Termios, Winsize};
use serde_json::Value;

/// How long a wait for an event may last before the test counts as hung.
pub const GUARD: Duration = Duration::from_secs(60);

/// Most output a failure report repeats.
const REPORT_LEN_MAX: usize = 6000;

/// `short` repetitions, or `long` ones when `IL_LONG` is set.
pub fn repetitions(short: usize, long: usize) -> usize {
    if std::env::var_os("IL_LONG").is_some() { long } else { short }
}

/// The binary under test: Cargo's, or the one `IL_UNDER_TEST` names.
pub fn il_binary() -> PathBuf {
    match std::env::var_os("IL_UNDER_TEST") {
        Some(path) => path.into(),
        None => env!("CARGO_BIN_EXE_il").into(),
    }
}

/// Whether a script runs on its own or under `il run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Bare,
    Recorded,
}

/// A directory tree of one test, removed with the value:
/// `bin/` (il and the helper programs, first in PATH), `il/` (the store), `work/` (the directory
/// scripts run in) and `home/` ($HOME).
#[derive(Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    pub fn new() -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("it").join(name);
        for part in ["bin", "work", "home"] {
            fs::create_dir_all(root.join(part)).unwrap();
        }
        symlink(il_binary(), root.join("bin/il")).unwrap();
        for program in crate::programs::NAMES {
            symlink(std::env::current_exe().unwrap(), root.join("bin").join(program)).unwrap();
        }
        fs::write(root.join("home/.inputrc"), "set enable-bracketed-paste off\n").unwrap();
        Home { root }
    }

    /// The store's directory, `$INTENTLOOP_HOME` of every command.
    pub fn store(&self) -> PathBuf {
        self.root.join("il")
    }

    /// A file in the directory that scripts run in.
    pub fn work(&self, name: &str) -> PathBuf {
        self.root.join("work").join(name)
    }

    /// Writes `work/name`.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.work(name), content).unwrap();
    }

    /// Reads `work/name`.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.work(name)).unwrap_or_else(|e| panic!("work/{name}: {e}"))
    }

    /// The first line of `work/name` as a process id, as soon as a script has written it.
    pub fn pid(&self, name: &str) -> Pid {
        wait_until(&format!("a process id in {name}"), || {
            let text = fs::read_to_string(self.work(name)).ok()?;
            let line = text.split_once('\n')?.0;
            Pid::from_raw(line.trim().parse().ok()?)
        })
    }

    /// A command in this home, with an environment that holds nothing of the tester's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap();
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", self.root.join("bin").display()))
            .env("HOME", self.root.join("home"))
            .env("INPUTRC", self.root.join("home/.inputrc"))
            .env("INTENTLOOP_HOME", self.store())
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            // The tests' directories lie in il's own repository, which is none of theirs.
            .env("GIT_CEILING_DIRECTORIES", env!("CARGO_TARGET_TMPDIR"))
            .current_dir(self.root.join("work"));
        command
    }

    /// `il run -q args`, to be the leader of a terminal's session itself.
    pub fn il_run(&self, args: &[&str]) -> Command {
        let mut command = self.command("il");
        command.args(["run", "-q"]).args(args);
        command
    }

    /// `sh -c script`, in which `$REC` stands before what is to be recorded.
    pub fn sh(&self, how: How, script: &str) -> Command {
        let mut command = self.command("sh");
        let rec = match how {
            How::Bare => "",
            How::Recorded => "il run -q",
        };
        command.env("REC", rec).args(["-c", script]);
        command
    }

    /// Runs il with no terminal in reach and returns what came of it.
    pub fn il_output(&self, args: &[&str]) -> Output {
        let mut command = self.detached("il");
        command.args(args).stdin(Stdio::null());
        output_of(command).expect("il can be started")
    }

    /// A command with no terminal in reach even when the tests were started on one.
    pub fn detached(&self, program: &str) -> Command {
        let mut command = self.command(program);
        let leave = || rustix::process::setsid().map(|_| ()).map_err(Into::into);
        #[allow(unsafe_code)]
        // SAFETY: between fork and exec the closure makes one system call and nothing else.
        unsafe {
            command.pre_exec(leave)
        };
        command
    }

    /// The standard output of `il args`, which must succeed.
    pub fn il(&self, args: &[&str]) -> Vec<u8> {
        let output = self.il_output(args);
        assert!(
            output.status.success(),
            "il {args:?}: {}: {}",
            output.status,
            output.stderr.escape_ascii()
        );
        output.stdout
    }

    /// A stream of the newest session.
    pub fn dump(&self, stream: &str) -> Vec<u8> {
        self.il(&["dump", stream])
    }

    /// `il show --json` of the newest session.
    pub fn show(&self) -> Value {
        serde_json::from_slice(&self.il(&["show", "--json"])).expect("il show --json is JSON")
    }

    /// The newest session's status word.
    pub fn status(&self) -> String {
        let show = self.show();
        show["status"].as_str().unwrap_or_else(|| panic!("no status in {show}")).to_owned()
    }

    /// `il list --json --all`, newest first.
    pub fn list(&self) -> Vec<Value> {
        json_lines(&self.il(&["list", "--json", "--all"]))
    }

    /// The newest session's events.
    pub fn events(&self) -> Vec<Value> {
        json_lines(&self.dump("events"))
    }

    /// The newest session's events of one kind.
    pub fn events_of(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["kind"] == kind).collect()
    }

    /// Every byte of every file under the store's directory.
    pub fn store_bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for (_, bytes) in files_under(&self.store()) {
            all.extend(bytes);
        }
        all
    }

    /// The files that scripts left in `work/`, by name.
    pub fn work_files(&self) -> BTreeMap<String, Vec<u8>> {
        files_under(&self.root.join("work"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("JSON lines are UTF-8");
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

fn files_under(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        let Ok(entries) = fs::read_dir(&at) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                dirs.push(path);
            } else if kind.is_file() {
                let name = path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// How a terminal is at the start of a run.
#[derive(Clone, Debug)]
pub struct Setup {
    pub winsize: Winsize,
    /// Changes the line discipline that the kernel gives a new PTY.
    pub termios: fn(&mut Termios),
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { winsize: winsize(80, 24), termios: |_| {} }
    }
}

/// A window of `cols` by `rows` with no pixel size.
pub fn winsize(cols: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 }
}

/// The terminal emulator's end of a PTY whose other end a session leader has as its terminal.
/// Dropping it hangs the line up and kills the leader.
#[derive(Debug)]
pub struct Term {
    ptmx: Option<OwnedFd>,
    leader: Child,
    pidfd: OwnedFd,
    /// The settings that the leader found, as [`Term::termios`] tells them.
    pub initial: String,
    /// Everything the terminal has shown.
    pub screen: Vec<u8>,
    /// How much of `screen` earlier expectations have used up.
    seen: usize,
    status: Option<ExitStatus>,
}

impl Term {
    /// Starts `command` as the leader of a session on a new 80x24 terminal.
    pub fn spawn(command: Command) -> Term {
        Term::spawn_with(command, &Setup::default())
    }

    /// Starts `command` as the leader of a session on a new terminal.
    pub fn spawn_with(mut command: Command, setup: &Setup) -> Term {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ptmx = openpt(flags).unwrap();
        grantpt(&ptmx).unwrap();
        unlockpt(&ptmx).unwrap();
        let pts = ioctl_tiocgptpeer(&ptmx, flags).unwrap();
        rustix::io::ioctl_fionbio(&ptmx, true).unwrap();
        rustix::termios::tcsetwinsize(&ptmx, setup.winsize).unwrap();
        let mut termios = rustix::termios::tcgetattr(&ptmx).unwrap();
        (setup.termios)(&mut termios);
        rustix::termios::tcsetattr(&ptmx, OptionalActions::Now, &termios).unwrap();
        let initial = format!("{:?}", rustix::termios::tcgetattr(&ptmx).unwrap());

        command
            .stdin(pts.try_clone().unwrap())
            .stdout(pts.try_clone().unwrap())
            .stderr(pts.try_clone().unwrap());
        let make_leader = || {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        };
        #[allow(unsafe_code)]
        // SAFETY: between fork and exec the closure makes two system calls and nothing else: it
        // neither allocates nor takes a lock that another thread may hold.
        unsafe {
            command.pre_exec(make_leader)
        };
        let leader = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let pidfd = pidfd_open(pid_of(&leader), PidfdFlags::empty()).unwrap();
        Term { ptmx: Some(ptmx), leader, pidfd, initial, screen: Vec::new(), seen: 0, status: None }
    }

    /// Starts an interactive bash, and waits for its first prompt.
    pub fn bash(home: &Home) -> Term {
        let mut command = home.command("bash");
        command.args(["--norc", "--noprofile", "-i"]).env("PS1", "PROMPT> ").env("HISTFILE", "");
        let mut term = Term::spawn(command);
        term.expect("PROMPT> ");
        term
    }

    /// Types a line and the return key.
    pub fn line(&mut self, text: &str) {
        self.send(format!("{text}\r"));
    }

    fn ptmx(&self) -> &OwnedFd {
        self.ptmx.as_ref().expect("the terminal is still open")
    }

    /// The session leader's process id.
    pub fn pid(&self) -> Pid {
        pid_of(&self.leader)
    }

    /// Signals the session leader.
    pub fn kill(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Changes the window's size, as the emulator would.
    pub fn resize(&self, cols: u16, rows: u16) {
        rustix::termios::tcsetwinsize(self.ptmx(), winsize(cols, rows)).unwrap();
    }

    /// The line discipline's settings, as text: flags, control characters and speeds.
    pub fn termios(&self) -> String {
        format!("{:?}", rustix::termios::tcgetattr(self.ptmx()).unwrap())
    }

    /// Whether the terminal is in raw mode, as under a relay or a full-screen program. A shell's
    /// line editor, which keeps output processing on, does not count.
    pub fn is_raw(&self) -> bool {
        let termios = rustix::termios::tcgetattr(self.ptmx()).unwrap();
        !termios.output_modes.contains(OutputModes::OPOST)
    }

    /// Sends keystrokes, reading the screen meanwhile so that an echo cannot block them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let mut bytes = bytes.as_ref();
        let deadline = Instant::now() + GUARD;
        while !bytes.is_empty() {
            match rustix::io::write(self.ptmx(), bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(rustix::io::Errno::AGAIN) => {
                    self.poll(PollFlags::IN | PollFlags::OUT, deadline, "to take keystrokes");
                    self.read_some();
                }
                Err(e) => panic!("write to the terminal: {e}"),
            }
        }
    }

    /// Sends as many keystrokes as the terminal takes and returns their number: stops once it has
    /// taken none for `quiet`, or `len_max` bytes in all. Reads nothing.
    pub fn send_until_full(&mut self, len_max: usize, quiet: Duration) -> usize {
        let chunk = [b'x'; 4096];
        let mut sent = 0;
        while sent < len_max {
            match rustix::io::write(self.ptmx(), &chunk) {
                Ok(n) => sent += n,
                Err(rustix::io::Errno::AGAIN) => {
                    let mut fds = [PollFd::new(self.ptmx(), PollFlags::OUT)];
                    if poll(&mut fds, Some(&timespec(quiet))).unwrap() == 0 {
                        break;
                    }
                }
                Err(e) => panic!("write to the terminal: {e}"),
            }
        }
        sent
    }

    /// Waits until the terminal has shown `needle`; returns what it had shown since the last
    /// expectation, up to and including the needle.
    pub fn expect(&mut self, needle: impl AsRef<[u8]>) -> Vec<u8> {
        let needle = needle.as_ref();
        let deadline = Instant::now() + GUARD;
        let what = format!("to show {:?}", String::from_utf8_lossy(needle));
        let mut from = self.seen;
        loop {
            if let Some(at) = find(&self.screen[from..], needle) {
                let start = std::mem::replace(&mut self.seen, from + at + needle.len());
                return self.screen[start..self.seen].to_vec();
            }
            from = self.screen.len().saturating_sub(needle.len()).max(self.seen);
            self.poll(PollFlags::IN, deadline, &what);
            if self.read_some() == Some(0) {
                panic!("the terminal ended without {what}{}", self.report());
            }
        }
    }

    /// Waits until the terminal's settings satisfy `done`.
    pub fn until(&mut self, what: &str, done: impl Fn(&Term) -> bool) {
        let deadline = Instant::now() + GUARD;
        while !done(self) {
            assert!(Instant::now() < deadline, "waited for {what}{}", self.report());
            let mut fds = [PollFd::new(self.ptmx(), PollFlags::IN)];
            let _ = poll(&mut fds, Some(&timespec(Duration::from_millis(2)))).unwrap();
            self.read_some();
        }
    }

    /// Waits for the terminal to be ready; fails the test when it has not been by `deadline`.
    fn poll(&self, flags: PollFlags, deadline: Instant, what: &str) {
        let mut fds = [PollFd::new(self.ptmx(), flags)];
        let left = deadline.saturating_duration_since(Instant::now());
        if poll(&mut fds, Some(&timespec(left))).unwrap() == 0 {
            panic!("waited {GUARD:?} for the terminal {what}{}", self.report());
        }
    }

    /// Reads once. `None`: nothing there. `Some(0)`: every process has closed the terminal.
    pub fn read_some(&mut self) -> Option<usize> {
        self.read_at_most(65536)
    }

    /// Reads once, `len_max` bytes at most; returns as [`Term::read_some`] does.
    pub fn read_at_most(&mut self, len_max: usize) -> Option<usize> {
        let mut buffer = vec![0; len_max];
        match rustix::io::read(self.ptmx(), &mut buffer) {
            Ok(n) => {
                self.screen.extend_from_slice(&buffer[..n]);
                Some(n)
            }
            Err(rustix::io::Errno::IO) => Some(0),
            Err(rustix::io::Errno::AGAIN) => None,
            Err(e) => panic!("read from the terminal: {e}"),
        }
    }

    /// Waits for the session leader to end, reading the screen meanwhile.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + GUARD;
        let mut open = true;
        while self.status.is_none() {
            let left = timespec(deadline.saturating_duration_since(Instant::now()));
            let flags = if open { PollFlags::IN } else { PollFlags::empty() };
            let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
            if open {
                fds.push(PollFd::new(self.ptmx(), flags));
            }
            if poll(&mut fds, Some(&left)).unwrap() == 0 {
                panic!("waited {GUARD:?} for the end of the session{}", self.report());
            }
            let ended = !fds[0].revents().is_empty();
            if ended {
                self.status = Some(self.leader.wait().unwrap());
            } else if self.read_some() == Some(0) {
                open = false;
            }
        }
        self.status.unwrap()
    }

    /// Waits for the leader's end and for the last process to close the terminal.
    pub fn finish(mut self) -> Outcome {
        self.wait();
        let deadline = Instant::now() + GUARD;
        while self.read_some() != Some(0) {
            self.poll(PollFlags::IN, deadline, "to be closed by every process");
        }
        self.outcome()
    }

    /// What came of the leader, once [`Term::wait`] has seen it end, although others may live on.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            screen: self.screen.clone(),
            status: self.status.expect("waited for"),
            termios: self.termios(),
        }
    }

    /// Closes the emulator's end: the processes on the terminal are hung up.
    pub fn hang_up(&mut self) {
        self.ptmx = None;
    }

    /// Waits for the leader's end after [`Term::hang_up`].
    pub fn wait_hung_up(&mut self) -> ExitStatus {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&timespec(GUARD))).unwrap();
        assert!(ready > 0, "the session outlives its terminal{}", self.report());
        self.leader.wait().unwrap()
    }

    fn report(&self) -> String {
        let from = self.screen.len().saturating_sub(REPORT_LEN_MAX);
        let shown = self.screen[from..].escape_ascii().to_string().replace("\\n", "\\n\n");
        format!(
            "\n--- shown so far ({} bytes, {} of them expected) ---\n{shown}\n---",
            self.screen.len(),
            self.seen
        )
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.leader.kill();
            let _ = self.leader.wait();
        }
    }
}

/// What a run left behind for the user to see.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    pub screen: Vec<u8>,
    pub status: ExitStatus,
    pub termios: String,
}

impl Outcome {
    /// The screen as text, for comparing short outputs.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen).into_owned()
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = &self.screen[..self.screen.len().min(REPORT_LEN_MAX)];
        let code = (self.status.code(), self.status.signal());
        writeln!(f, "{} bytes shown: {}", self.screen.len(), head.escape_ascii())?;
        writeln!(f, "(code, signal): {code:?}\n{}", self.termios)
    }
}

/// Runs a script on a terminal of its own until every process has left it.
pub fn run(home: &Home, how: How, script: &str) -> Outcome {
    Term::spawn(home.sh(how, script)).finish()
}

/// Runs `script` bare and with `il` in place of `$REC`, each on a new terminal in a new directory:
/// the bytes shown, the exit status, the terminal's settings afterwards and every file in the
/// directory must be the same. Returns the recorded run's home for a look into the store.
#[track_caller]
pub fn check_same(script: &str) -> Home {
    check_same_with(&Setup::default(), script)
}

/// [`check_same`] on terminals that start as `setup` says.
#[track_caller]
pub fn check_same_with(setup: &Setup, script: &str) -> Home {
    let bare_home = Home::new();
    let bare = Term::spawn_with(bare_home.sh(How::Bare, script), setup).finish();
    let home = Home::new();
    let recorded = Term::spawn_with(home.sh(How::Recorded, script), setup).finish();
    assert_eq!(recorded, bare, "recorded (left) and bare (right) differ for: {script}");
    let (left, right) = (home.work_files(), bare_home.work_files());
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right), "files left by: {script}");
    for (name, bytes) in left {
        assert_same_bytes(&bytes, &right[&name], &format!("{name}, left by: {script}"));
    }
    home
}

/// Compares long byte strings, and names the place where they part.
#[track_caller]
pub fn assert_same_bytes(left: &[u8], right: &[u8], what: &str) {
    if left == right {
        return;
    }
    let at = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let near = |bytes: &[u8]| {
        bytes[at.saturating_sub(40)..bytes.len().min(at + 40)].escape_ascii().to_string()
    };
    panic!(
        "{what}: {} and {} bytes, apart at {at}:\n left: {}\nright: {}",
        left.len(),
        right.len(),
        near(left),
        near(right)
    );
}

/// Waits until `probe` yields a value.
pub fn wait_until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + GUARD;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {GUARD:?} for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a command that has no terminal to its end and collects what it writes; None when it cannot
/// be started.
pub fn output_of(mut command: Command) -> Option<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let pidfd = pidfd_open(pid_of(&child), PidfdFlags::empty()).unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| out.read_to_end(&mut stdout).unwrap());
        scope.spawn(|| err.read_to_end(&mut stderr).unwrap());
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let ended = poll(&mut fds, Some(&timespec(GUARD))).unwrap() > 0;
        if !ended {
            let _ = child.kill();
        }
        assert!(ended, "waited {GUARD:?} for {:?}", command.get_program());
    });
    Some(Output { status: child.wait().unwrap(), stdout, stderr })
}

/// A child's process id.
pub fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Signals a process, which must exist.
pub fn kill(pid: Pid, signal: Signal) {
    rustix::process::kill_process(pid, signal).unwrap_or_else(|e| panic!("kill {pid:?}: {e}"));
}

/// Whether a process exists and is no zombie.
pub fn is_alive(pid: Pid) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z" && fields[0] != "X")
}

/// A process's fields in `/proc/PID/stat` from the state on (field 3 of proc(5) is index 0).
pub fn stat(pid: Pid) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let fields = text.rsplit_once(") ")?.1;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// The value of `key:` in `/proc/PID/status`.
pub fn proc_status(pid: Pid, key: &str) -> String {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {path}")).trim().to_owned()
}

/// A process's highest resident size so far, in KiB.
pub fn peak_memory_kib(pid: Pid) -> u64 {
    proc_status(pid, "VmHWM").trim_end_matches(" kB").parse().unwrap()
}

/// The live children of a process.
pub fn children_of(pid: Pid) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", pid.as_raw_nonzero());
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| Pid::from_raw(word.parse().ok()?)).collect()
}

/// The line of settings that `stty -g` has printed somewhere in `shown`.
pub fn settings_in(shown: &[u8]) -> String {
    let text = String::from_utf8_lossy(shown);
    let is_settings = |line: &&str| line.matches(':').count() > 20;
    text.lines().find(is_settings).unwrap_or_else(|| panic!("no settings in {text}")).to_owned()
}

/// Where `needle` starts in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

/// Whether `needle` occurs in `hay`.
pub fn contains(hay: &[u8], needle: impl AsRef<[u8]>) -> bool {
    find(hay, needle.as_ref()).is_some()
}

/// `len` bytes that look random and are the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// `len` printable bytes with a line end every 64, the same for the same seed.
pub fn printable(len: usize, seed: u64) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = noise(len, seed);
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = if i % 64 == 63 { b'\n' } else { LETTERS[usize::from(*byte & 63)] };
    }
    bytes
}

/// What a terminal with output processing shows for `bytes`: each line feed becomes CR LF.
pub fn as_shown(bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    for &byte in bytes {
        if byte == b'\n' {
            shown.push(b'\r');
        }
        shown.push(byte);
    }
    shown
}

fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap()
}
