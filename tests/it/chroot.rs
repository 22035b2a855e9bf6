//! The static binary in a root directory that holds it, a static shell, and nothing else: no
//! libraries, no /proc, no /dev, no time zones, no user names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::plain::{Scratch, cargo_environment, program, root, run, stdout, succeed};

/// The static binary, built if need be. `make static` says where it is.
fn static_il() -> PathBuf {
    let mut make = program("make");
    cargo_environment(&mut make);
    let said = stdout(make.current_dir(root()).arg("static"));
    let line = said.lines().find(|line| line.contains(" bytes stripped")).expect("its size");
    root().join(line.split(':').next().expect("its path"))
}

/// `words` with `dir` for the root directory. Who is not root becomes so in a name space.
fn inside(dir: &Path, words: &[&str]) -> Command {
    let root_already = stdout(program("id").arg("-u")).trim() == "0";
    let mut command = program(if root_already { "chroot" } else { "unshare" });
    if !root_already {
        command.args(["--user", "--map-root-user", "chroot"]);
    }
    command.arg(dir).args(words).env("HOME", "/");
    command
}

#[test]
fn the_static_binary_needs_nothing_around_it() {
    let scratch = Scratch::new();
    let dir = scratch.path();
    let busybox = stdout(program("sh").args(["-c", "command -v busybox"]));
    fs::copy(busybox.trim(), dir.join("sh")).expect("busybox");
    fs::copy(static_il(), dir.join("il")).expect("il");

    let recorded = r"echo out; printf '\377\000'; echo err >&2; exit 3";
    let output: Output = run(&mut inside(dir, &["/il", "run", "/sh", "-c", recorded]));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(output.stdout, b"out\n\xff\0");
    assert_eq!(output.stderr, b"err\n");

    let last = stdout(&mut inside(dir, &["/il", "last"]));
    for line in ["Status: failed", "Exit code: 3"] {
        assert!(last.lines().any(|l| l == line), "{line:?} in:\n{last}");
    }
    assert_eq!(succeed(&mut inside(dir, &["/il", "dump", "stdout"])).stdout, b"out\n\xff\0");
    assert_eq!(succeed(&mut inside(dir, &["/il", "dump", "stderr"])).stdout, b"err\n");

    let mut here: Vec<_> =
        fs::read_dir(dir).expect("the root").map(|e| e.expect("an entry").file_name()).collect();
    here.sort();
    assert_eq!(here, [".intentloop", "il", "sh"], "il writes to its store alone");
}
