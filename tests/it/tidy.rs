//! What must hold for the source as a whole: who imports whom, where `unsafe` is, what may be
//! depended on, and that nothing lies about. Invariants, not taste.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::plain::{cargo_environment, program, root, stdout};

/// A source file: its path from the root, its text, and its text with comments and the insides of
/// literals blanked out.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    /// The room it belongs to: the name right under `src/`.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs"))
    }

    /// Code that ships: what stands before the tests at the end of a file.
    fn shipped(&self) -> &str {
        let tests = self.code.find("#[cfg(test)]\nmod tests {");
        &self.code[..tests.unwrap_or(self.code.len())]
    }

    fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        self.path.starts_with("tests/")
            || parts.iter().any(|p| matches!(*p, "tests" | "tests.rs"))
            || self.path == "src/cli/check.rs"
    }
}

#[test]
fn imports_go_downwards_only() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let rooms = rooms(&lib);
    let rank: BTreeMap<&str, usize> =
        rooms.iter().enumerate().flat_map(|(at, row)| row.iter().map(move |r| (*r, at))).collect();
    assert!(rank.len() > 8 && rank["cmd"] == 0, "the table in lib.rs: {rank:?}");
    let leaves = rooms.len() - 1;
    for source in sources("src") {
        let room = source.room().expect("under src");
        if matches!(room, "lib" | "main") {
            continue;
        }
        let own = *rank.get(room).unwrap_or_else(|| panic!("{room} is not in lib.rs's table"));
        for used in imports(&source.code) {
            let Some(other) = rank.get(used.as_str()) else {
                assert!(matches!(used.as_str(), "Error" | "Result"), "{}: {used}", source.path);
                continue;
            };
            let fine = used == room
                || own < *other && !never_meet(room, &used)
                || own == leaves && source.is_test();
            assert!(fine, "{} uses crate::{used}: an arrow upwards", source.path);
        }
    }
}

/// Rooms that stand beside each other: both speak the nouns below, and `sys` is for those that own
/// a file, a terminal or a process.
fn never_meet(room: &str, used: &str) -> bool {
    let pure = PURE.contains(&room);
    matches!((room, used), ("format", "agent" | "store") | ("agent", "store"))
        || pure && used == "sys"
}

/// Rooms that know no files, no clock, no environment, no process: those are arguments.
const PURE: &[&str] = &["term", "json", "event", "session", "format", "agent", "cli"];

#[test]
fn pure_rooms_do_no_io() {
    let worlds = [
        "std::fs",
        "std::env",
        "std::process",
        "std::net",
        "std::thread",
        "std::os::unix::net",
        "Instant::now",
        "SystemTime",
        "stdout()",
        "stderr()",
        "stdin()",
        "libc::",
    ];
    for source in sources("src").filter(|s| !s.is_test()) {
        let room = source.room().expect("under src");
        if PURE.contains(&room) || source.path == "src/record/relay.rs" {
            for world in worlds {
                assert!(!source.shipped().contains(world), "{}: {world}", source.path);
            }
        }
    }
}

#[test]
fn unsafe_is_in_sys_alone_and_says_why_it_is_sound() {
    let mut blocks = 0;
    for source in sources("src").chain(sources("tests")) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in source.code.lines().enumerate() {
            if !words(line).any(|w| w == "unsafe") {
                continue;
            }
            // What a test does between fork and exec ships nowhere.
            let place = source.path.starts_with("src/sys/") || source.path.starts_with("tests/");
            assert!(place, "{}:{}: unsafe", source.path, at + 1);
            if !line.contains("unsafe {") && !line.contains("unsafe impl") {
                continue;
            }
            blocks += 1;
            // The reason stands above the statement that the block is part of.
            let above = lines[..at].iter().rev().map(|l| l.trim());
            let ends = |l: &&str| l.is_empty() || l.ends_with([';', '{', '}']);
            let comment = above
                .skip_while(|l| !l.starts_with("//") && !ends(l))
                .take_while(|l| l.starts_with("//"));
            let found = comment.into_iter().any(|l| l.contains("SAFETY:"));
            assert!(found, "{}:{}: no SAFETY comment", source.path, at + 1);
        }
    }
    assert!(blocks > 10, "sys has unsafe blocks, but the test sees {blocks}");
}

#[test]
fn two_packages_are_all_that_ships() {
    let tree = ["tree", "-e", "normal", "--target", "all", "--prefix", "none", "--format", "{p}"];
    let mut cargo = program(env!("CARGO"));
    cargo_environment(&mut cargo);
    let said = stdout(cargo.current_dir(root()).args(tree).args(["--locked", "--offline"]));
    let names: BTreeSet<&str> = said.lines().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!(names, BTreeSet::from(["intentloop", "lexopt", "libc"]));
}

/// A module that no `mod` line names is not compiled: nobody would notice that it is wrong.
#[test]
fn no_file_is_dead() {
    let mut alive = BTreeSet::from(["src/lib.rs".to_owned(), "src/main.rs".to_owned()]);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let quoted =
        manifest.lines().filter_map(|l| l.strip_prefix("path = ")).map(|p| p.trim_matches('"'));
    alive.extend(quoted.map(str::to_owned));
    let mut open: Vec<String> = alive.iter().cloned().collect();
    while let Some(path) = open.pop() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { panic!("{path}: not there") };
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let stem = path.trim_end_matches(".rs").to_owned();
        let top = matches!(path.rsplit('/').next(), Some("mod.rs" | "lib.rs" | "main.rs"))
            || manifest.contains(&format!("path = \"{path}\""));
        let home = if top { dir } else { &stem };
        for path in text.lines().filter_map(|l| l.trim().strip_prefix("#[path = \"")) {
            let file = format!("{dir}/{}", path.trim_end_matches("\"]"));
            if alive.insert(file.clone()) {
                open.push(file);
            }
        }
        for line in blanked(&text).lines() {
            let line = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let Some(name) = line.strip_prefix("mod ").and_then(|l| l.strip_suffix(';')) else {
                continue;
            };
            let both = [format!("{home}/{name}.rs"), format!("{home}/{name}/mod.rs")];
            for file in both {
                if root().join(&file).exists() && alive.insert(file.clone()) {
                    open.push(file);
                }
            }
        }
    }
    for source in sources("src").chain(sources("tests")) {
        assert!(alive.contains(&source.path), "{}: no mod line names it", source.path);
    }
}

/// Output goes through writes whose errors are looked at.
#[test]
fn nothing_prints_by_macro() {
    for source in sources("src") {
        for name in ["println!", "eprintln!", "print!", "eprint!", "dbg!"] {
            let found = source.code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '!');
            assert!(!found.into_iter().any(|w| w == name), "{}: {name}", source.path);
        }
    }
}

#[test]
fn no_test_is_ignored() {
    for source in sources("src").chain(sources("tests")) {
        assert!(!source.code.contains("#[ignore"), "{}", source.path);
        assert!(!source.code.contains("#[should_panic"), "{}", source.path);
    }
}

#[test]
fn each_source_file_says_what_it_holds() {
    for source in sources("src").chain(sources("tests")) {
        // Tests beside their module hold its tests.
        let beside = source.path.starts_with("src/") && source.path.ends_with("/tests.rs");
        let said = source.text.starts_with("//! ");
        assert!(said || beside, "{}: no first line", source.path);
    }
}

/// Words that tie the source to one machine, one mirror, or the way it came about.
#[test]
fn the_source_stands_by_itself() {
    let forbidden = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["../sh", "ared"],
        ["crates", ".io"],
        ["npmjs", ".org"],
        ["pypi", ".org"],
        ["deb.deb", "ian.org"],
        ["static.rust-", "lang.org"],
        ["integ", "rator"],
        ["aesthe", "tics"],
        ["cli", ".md"],
        ["architecture", ".md"],
    ]
    .map(|halves| halves.concat());
    for path in texts() {
        if path.ends_with("Cargo.lock") {
            continue;
        }
        let text = read(&path);
        for word in &forbidden {
            let line = text.lines().position(|l| l.contains(word.as_str()));
            assert_eq!(line.map(|at| at + 1), None, "{}: {word}", path.display());
        }
    }
}

/// Test data are other programs' words, but they are not read from outside this tree either.
#[test]
fn test_data_names_no_place_of_ours() {
    let mut paths = Vec::new();
    walk(&root().join("tests"), &mut paths);
    for path in paths {
        let bytes = fs::read(&path).expect("test data");
        for word in [["/wo", "rk/"].concat(), ["../sh", "ared"].concat()] {
            let found = bytes.windows(word.len()).any(|w| w == word.as_bytes());
            assert!(!found, "{}: {word}", path.display());
        }
    }
}

#[test]
fn texts_are_clean() {
    for path in texts() {
        let text = read(&path);
        let name = path.strip_prefix(root()).expect("under the root").display().to_string();
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{name}: its end");
        let tabs = name.ends_with("Makefile") || name.ends_with(".fish");
        for (at, line) in text.lines().enumerate() {
            assert_eq!(line.trim_end(), line, "{name}:{}: blanks at the end", at + 1);
            assert!(tabs || !line.contains('\t'), "{name}:{}: a tab", at + 1);
        }
        let mode = fs::metadata(&path).expect("its mode").permissions().mode();
        let script = text.starts_with("#!");
        assert_eq!(mode & 0o111 != 0, script, "{name}: mode {mode:o}");
    }
}

#[test]
fn the_changelog_names_the_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).expect("CHANGELOG.md");
    let version = env!("CARGO_PKG_VERSION");
    let heading = changelog.lines().find_map(|l| l.strip_prefix("## ")).expect("a heading");
    assert!(heading.starts_with(version), "the first heading is {heading:?}, not {version}");
}

#[test]
fn the_readme_opens_with_what_a_newcomer_types() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let code = readme.split("```").nth(1).expect("a block of code");
    let commands: Vec<&str> = code.lines().skip(1).filter(|l| !l.is_empty()).collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert!(commands[0].starts_with("cargo run --release -- run bash"), "{}", commands[0]);
    assert!(commands[1].starts_with("make test"), "{}", commands[1]);
    assert!(readme.find("```").is_some_and(|at| at < 300), "they come first");
}

/// The rows of the table at the head of lib.rs, top first: the names in each row's first cell.
fn rooms(lib: &str) -> Vec<Vec<&str>> {
    let cells = lib.lines().filter_map(|l| l.strip_prefix("//! | `")?.split(" | ").next());
    cells.map(|cell| cell.split(',').map(|name| name.trim_matches([' ', '`'])).collect()).collect()
}

/// The modules that code names by `crate::`, grouped imports taken apart.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.extend(words(rest).next().map(str::to_owned)),
            Some(group) => {
                let mut depth = 0;
                for item in group.split_inclusive([',', '{', '}']) {
                    if depth == 0 {
                        found.extend(words(item).next().map(str::to_owned));
                    }
                    match item.chars().last() {
                        Some('{') => depth += 1,
                        Some('}') if depth == 0 => break,
                        Some('}') => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty())
}

/// The same text with comments and what stands between quotes blanked out, line by line.
fn blanked(text: &str) -> String {
    let b = text.as_bytes();
    let mut out = Vec::with_capacity(b.len());
    let mut i = 0;
    let blank = |out: &mut Vec<u8>, from: usize, to: usize| {
        out.extend(b[from..to].iter().map(|c| if *c == b'\n' { b'\n' } else { b' ' }));
    };
    let end = |from: usize, mark: &str| {
        text.get(from..).and_then(|t| t.find(mark)).map_or(b.len(), |at| from + at + mark.len())
    };
    while i < b.len() {
        let named = i > 0 && (b[i - 1].is_ascii_alphanumeric() || b[i - 1] == b'_');
        let hashes = b[i + 1..].iter().take_while(|c| **c == b'#').count();
        let stop = if b[i..].starts_with(b"//") {
            end(i, "\n") - 1
        } else if b[i..].starts_with(b"/*") {
            end(i, "*/")
        } else if b[i] == b'r' && !named && b.get(i + 1 + hashes) == Some(&b'"') {
            end(i + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
        } else if b[i] == b'"' {
            let mut at = i + 1;
            while at < b.len() && b[at] != b'"' {
                at += if b[at] == b'\\' { 2 } else { 1 };
            }
            at + 1
        } else if b[i] == b'\'' && b.get(i + 1) == Some(&b'\\') {
            end(i + 3, "'")
        } else if b[i] == b'\'' && text[i + 1..].chars().nth(1) == Some('\'') {
            end(i + 2, "'")
        } else {
            out.push(b[i]);
            i += 1;
            continue;
        };
        let stop = stop.clamp(i + 1, b.len());
        blank(&mut out, i, stop);
        i = stop;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn blanking_keeps_code_alone() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b\n */ c", "a     \n    c"),
        ("a(\"// \\\" b\") c", "a(          ) c"),
        ("r#\"x\"y\"# z", "          z"),
        ("'a' 'x: &'a '\\'' b", "    'x: &'a      b"),
        ("br\"a\" b", "br    b"),
    ] {
        let got = blanked(text);
        assert_eq!(got.len(), text.len(), "{text:?}");
        let squeeze = |s: &str| s.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(squeeze(&got), squeeze(code), "{text:?}");
    }
    assert_eq!(
        imports("use crate::{a::{x, y}, b, error::E}; crate::c::f(); use crate::d;"),
        ["a", "b", "c", "d", "error"].map(str::to_owned).into_iter().collect()
    );
}

fn sources(dir: &str) -> impl Iterator<Item = Source> {
    let mut paths = Vec::new();
    walk(&root().join(dir), &mut paths);
    paths.retain(|p| p.extension().is_some_and(|e| e == "rs"));
    assert!(!paths.is_empty(), "{dir} has sources");
    paths.sort();
    paths.into_iter().map(|path| {
        let text = read(&path);
        let code = blanked(&text);
        let path = path.strip_prefix(root()).expect("under the root").display().to_string();
        Source { path, text, code }
    })
}

/// The files written by hand; recordings and other test data are what they are.
fn texts() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    walk(root(), &mut paths);
    paths.retain(|path| {
        let inside = path.strip_prefix(root()).expect("under the root").to_string_lossy();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
        let named = ["Makefile", "LICENSE", ".gitignore", "run"].contains(&name.as_ref());
        let kinds = ["rs", "md", "toml", "lock", "1", "5", "sh", "bash", "zsh", "fish", "html"];
        let data = inside.starts_with("tests/") && kind != "rs";
        !data && (named || kinds.contains(&kind))
    });
    paths
}

fn walk(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default();
        match path.is_dir() {
            true if name == "target" || name == ".git" => {}
            true => walk(&path, paths),
            false => paths.push(path),
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
