//! What is compared, and where: the four relays' command lines and the scratch directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The versions of asciinema that the bars speak of, as cargo reads it.
const ASCIINEMA: &str = "^3";

/// Files of the repository in which a run begins.
const REPOSITORY_FILES: u32 = 300;

/// A relay to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Bare,
    Il,
    Script,
    Asciinema,
}

/// The place and the size of the measurements.
pub struct Bench {
    /// Removed and made anew at each start.
    pub dir: PathBuf,
    pub rounds: usize,
    /// Bytes of the small flood.
    pub flood_len: u64,
    pub idle_s: u64,
    pub stall_s: u64,
    /// How long a round beside a flood takes.
    pub flood_s: u64,
    asciinema: Option<PathBuf>,
    script: bool,
}

impl Bench {
    pub fn new() -> Bench {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let number = |name: &str, default| match std::env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}: {text}: not a number")),
            Err(_) => default,
        };
        let script = Command::new("script").arg("--version").stdout(Stdio::null()).status().is_ok();
        Bench {
            dir,
            rounds: number("IL_BENCH_ROUNDS", 5) as usize,
            flood_len: number("IL_BENCH_MIB", 256) << 20,
            idle_s: number("IL_BENCH_IDLE", 10),
            stall_s: number("IL_BENCH_STALL", 30),
            flood_s: number("IL_BENCH_FLOOD", 2),
            asciinema: install_asciinema(),
            script,
        }
    }

    /// The relays that are here.
    pub fn tools(&self) -> Vec<Tool> {
        let mut tools = vec![Tool::Bare, Tool::Il];
        tools.extend(self.script.then_some(Tool::Script));
        tools.extend(self.asciinema.as_ref().map(|_| Tool::Asciinema));
        tools
    }

    /// `tool` recording `words`, which hold no blanks, into [`Bench::dir`].
    pub fn command(&self, tool: Tool, words: &[&str]) -> Command {
        let mut command = match tool {
            Tool::Bare => {
                let mut command = this();
                command.arg("be-bare").args(words);
                command
            }
            Tool::Il => {
                let mut command = self.il();
                command.args(["run", "-q"]).args(words);
                command
            }
            Tool::Script => {
                let mut command = Command::new("script");
                command.args(["-q", "-e", "-c", &words.join(" ")]).arg(self.dir.join("typescript"));
                command
            }
            Tool::Asciinema => {
                let mut command = Command::new(self.asciinema.as_ref().expect("installed"));
                command.args(["rec", "--quiet", "--overwrite", "--command", &words.join(" ")]);
                command.arg(self.dir.join("session.cast"));
                command
            }
        };
        command.env("HOME", &self.dir).env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
        command
    }

    /// il, or what `IL_UNDER_TEST` names instead, with a store in [`Bench::dir`].
    pub fn il(&self) -> Command {
        let mut command = Command::new(il_path());
        command.env("INTENTLOOP_HOME", self.dir.join("home")).env("HOME", &self.dir);
        command
    }

    /// Removes the recordings, so that each run writes into new files on an equally full disk.
    pub fn forget(&self) {
        let _ = std::fs::remove_dir_all(self.dir.join("home"));
        for name in ["typescript", "session.cast", "tee"] {
            let _ = std::fs::remove_file(self.dir.join(name));
        }
    }

    /// A git repository of some hundred files, made once.
    pub fn repository(&self) -> PathBuf {
        let root = self.dir.join("repository");
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            git.args(["-c", "user.name=me", "-c", "user.email=me@localhost"]).args(args);
            assert!(git.current_dir(&root).status().unwrap().success(), "git {args:?}");
        };
        if !root.exists() {
            std::fs::create_dir_all(&root).unwrap();
            for number in 0..REPOSITORY_FILES {
                std::fs::write(root.join(format!("{number}.txt")), lines(8 << 10)).unwrap();
            }
            git(&["init", "-q"]);
            git(&["add", "."]);
            git(&["commit", "-q", "-m", "all"]);
        }
        root
    }

    /// Until no process looks at a repository for a recording.
    pub fn wait_for_git(&self) {
        let is_watched = || {
            let entries = std::fs::read_dir(self.dir.join("home")).into_iter().flatten().flatten();
            entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("git."))
        };
        while is_watched() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A file of `len` bytes of text, made once.
    pub fn text_file(&self, len: u64) -> String {
        let path = self.dir.join(format!("text-{len}"));
        if !path.exists() {
            let block = lines(1 << 20);
            let file = std::fs::File::create(&path).unwrap();
            let mut out = std::io::BufWriter::new(file);
            for _ in 0..len / block.len() as u64 {
                std::io::Write::write_all(&mut out, &block).unwrap();
            }
        }
        path.into_os_string().into_string().unwrap()
    }
}

/// The il that is measured.
pub fn il_path() -> std::ffi::OsString {
    let cargos = || env!("CARGO_BIN_EXE_il").into();
    std::env::var_os("IL_UNDER_TEST").unwrap_or_else(cargos)
}

/// This program, to be run as one of its helpers.
pub fn this() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// This program's path.
pub fn this_path() -> String {
    std::env::current_exe().unwrap().into_os_string().into_string().unwrap()
}

/// `len` bytes of lines of 64.
pub fn lines(len: usize) -> Vec<u8> {
    let line = b"the quick brown fox jumps over the lazy dog 0123456789 and again";
    let mut bytes: Vec<u8> = line.iter().copied().cycle().take(len).collect();
    for end in bytes.iter_mut().skip(63).step_by(64) {
        *end = b'\n';
    }
    bytes
}

/// Whether `needle` is in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

/// asciinema, built from the registry into the target directory once; None, and a word about it,
/// when that fails.
fn install_asciinema() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools");
    let program = root.join("bin/asciinema");
    if !program.exists() {
        eprintln!("bench: installing asciinema {ASCIINEMA} into {}", root.display());
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let status = Command::new(cargo)
            .args(["install", "asciinema", "--locked", "--version", ASCIINEMA, "--root"])
            .arg(&root)
            .status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("bench: no asciinema {ASCIINEMA} here: its column stays empty");
            return None;
        }
    }
    Some(program)
}
