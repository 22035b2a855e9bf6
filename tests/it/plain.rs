//! Programs run without a terminal, away from the user's own home, and scratch directories.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The binary under test.
pub fn il_path() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_il"))
}

/// The package's own directory.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `program`, in an environment that holds a search path and a language and nothing of the user.
pub fn program(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let il = il_path().parent().expect("a binary lies in a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(il.to_owned()).chain(std::env::split_paths(&path));
    command
        .env_clear()
        .env("PATH", std::env::join_paths(dirs).expect("a path without a colon"))
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "xterm-256color")
        .env("HOME", "/nonexistent")
        // The tests' directories lie in il's own repository, which is none of theirs.
        .env("GIT_CEILING_DIRECTORIES", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// `il` in such an environment.
pub fn il() -> Command {
    program(il_path())
}

/// Lets a program find cargo, its packages and its toolchains, which are in the user's home.
pub fn cargo_environment(command: &mut Command) {
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
}

/// Runs to the end; panics with both outputs unless it succeeded.
pub fn succeed(command: &mut Command) -> Output {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Runs to the end, whatever that is.
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}; try 'make setup'"))
}

/// What a command that succeeds prints.
pub fn stdout(command: &mut Command) -> String {
    String::from_utf8(succeed(command).stdout).expect("output in UTF-8")
}

/// A directory of the test's own, gone with it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&dir).expect("a scratch directory");
        Scratch(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
