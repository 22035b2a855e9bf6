//! `make install` into an empty directory: everything is where the system looks for it, and
//! `make uninstall` leaves nothing.

use std::fs;
use std::path::Path;

use crate::plain::{Scratch, cargo_environment, program, root, stdout, succeed};

fn make(words: &[&str], destination: &Path) {
    let mut make = program("make");
    cargo_environment(&mut make);
    make.current_dir(root()).args(words);
    succeed(make.arg("PREFIX=/usr").arg(format!("DESTDIR={}", destination.display())));
}

fn files(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path.display().to_string()),
        }
    }
}

#[test]
fn what_is_installed_works_and_goes_again() {
    let scratch = Scratch::new();
    let there = |name: &str| scratch.path().join(name.trim_start_matches('/'));
    make(&["install"], scratch.path());

    let version = format!("il {}\n", env!("CARGO_PKG_VERSION"));
    for name in ["il", "intentloop", "intent"] {
        assert_eq!(stdout(program(there("/usr/bin").join(name)).arg("--version")), version);
    }
    for entry in fs::read_dir(root().join("man")).expect("man") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("a name").to_owned();
        let (page, section) = name.rsplit_once('.').expect("a section");
        let shown = stdout(
            program("man").env("MANPATH", there("/usr/share/man")).env("MANWIDTH", "79").args([
                "--pager=cat",
                section,
                page,
            ]),
        );
        assert!(shown.contains("NAME") && shown.contains(page), "man {section} {page}: {shown}");
    }
    for link in ["intentloop", "intent"] {
        let man = there("/usr/share/man");
        let shown = stdout(program("man").env("MANPATH", man).args(["--pager=cat", link]));
        assert!(shown.contains("the black box recorder"), "man {link}: {shown}");
    }
    for (shell, file) in [
        ("bash", "bash-completion/completions/il"),
        ("bash", "bash-completion/completions/intent"),
        ("zsh", "zsh/site-functions/_il"),
        ("fish", "fish/vendor_completions.d/il.fish"),
        ("fish", "fish/vendor_completions.d/intentloop.fish"),
    ] {
        let installed = fs::read_to_string(there("/usr/share").join(file)).expect(file);
        let printed = stdout(program(there("/usr/bin/il")).args(["completion", shell]));
        assert_eq!(installed, printed, "{file}");
    }

    make(&["uninstall"], scratch.path());
    let mut left = Vec::new();
    files(scratch.path(), &mut left);
    assert_eq!(left, Vec::<String>::new());
}
