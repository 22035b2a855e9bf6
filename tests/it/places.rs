//! Where a store may stand: links in its place, directories and files of others, and filesystems
//! that are programs. Whatever is wrong there, the command runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::house::{House, said};
use crate::plain::{program, run, stdout};

/// A store in `.intentloop` of a home that `arrange` has prepared. The command's status comes
/// through; what il says of the recording and of the list begins so.
fn check(arrange: impl FnOnce(&Path), recorder: &str, list: &str) {
    let house = House::new();
    let home = house.dir();
    fs::create_dir_all(&home).expect("a home");
    arrange(&home);
    let il = |words: &[&str]| -> Output {
        let mut command = house.il(words);
        run(command.env_remove("INTENTLOOP_HOME").env("HOME", &home))
    };
    let dir = home.join(".intentloop").display().to_string();
    let (status, out, err) = said(&il(&["run", "--", "sh", "-c", "echo out; exit 4"]));
    assert_eq!((status, out.as_str()), (Some(4), "out\n"), "{err}");
    assert_eq!(err.replace(&dir, "DIR"), recorder);
    let (_, _, err) = said(&il(&["list"]));
    assert_eq!(err.replace(&dir, "DIR").lines().next().unwrap_or(""), list);
}

#[test]
fn a_link_to_a_directory_is_a_home_and_a_link_to_anything_else_is_not() {
    let links_to = |target: &'static str| {
        move |home: &Path| symlink(target, home.join(".intentloop")).expect("a link")
    };
    let elsewhere = |home: &Path| {
        fs::create_dir(home.join("elsewhere")).expect("a directory");
        links_to("elsewhere")(home);
    };
    check(elsewhere, "", "");
    let exists = "il: not recorded: cannot create DIR: File exists\n";
    check(links_to("nowhere"), exists, "il list: no store at DIR/store.il");
    check(links_to("/dev/null"), exists, "il list: cannot open DIR/store.il: Not a directory");
    let link = "cannot open DIR/store.il: it is a symbolic link";
    check(links_to(".intentloop"), exists, &format!("il list: {link}"));
    let of_file = |home: &Path| {
        fs::create_dir(home.join(".intentloop")).expect("a directory");
        fs::write(home.join("target"), "kept").expect("a file");
        symlink("../target", home.join(".intentloop/store.il")).expect("a link");
    };
    check(of_file, &format!("il: not recorded: {link}\n"), &format!("il list: {link}"));
}

/// Runs a script in a mount namespace of its own, as its root.
fn in_namespace(house: &House, script: &str) -> String {
    let is_root = run(program("unshare").args(["-m", "true"])).status.success();
    let mut command: Command = program("unshare");
    command.arg(if is_root { "-m" } else { "-rm" }).args(["sh", "-ec", script]);
    command.env("INTENTLOOP_HOME", house.dir()).current_dir(house.dir());
    stdout(&mut command)
}

#[test]
fn a_store_of_another_user_is_left_alone() {
    let house = House::new();
    house.record(&[], "echo mine");
    // Root gives its file away; others see one of root's in its place.
    let script = "
        if ! chown 12345 store.il 2>/dev/null; then mount --bind /etc/passwd store.il; fi
        before=$(sha256sum store.il)
        il run sh -c 'echo out; exit 4' 2>err || echo status $?
        il list 2>>err || echo status $?
        [ \"$before\" = \"$(sha256sum store.il)\" ] && echo untouched
        sed 's/ cannot open [^ ]*store.il://; s/user [0-9]*$/user N/' err; rm err";
    let want = "out\nstatus 4\nstatus 1\nuntouched\n\
        il: not recorded: it belongs to user N\nil list: it belongs to user N\n\
        hint: name a directory of your own with --home\n";
    assert_eq!(in_namespace(&house, script), want);
}

#[test]
fn long_work_shows_a_line_on_a_terminal_and_takes_it_away() {
    let house = House::new();
    for _ in 0..3 {
        house.record(&[], "seq 100000 110000");
    }
    // Every read takes long.
    let command = "strace -fqq -o /dev/null -e inject=pread64:delay_enter=20000 il verify";
    let mut script = program("script");
    script.env("INTENTLOOP_HOME", house.dir()).args(["-qec", command, "/dev/null"]);
    let shown = stdout(&mut script);
    let (line, rest) = shown.rsplit_once("\r\x1b[K").expect("a line that went");
    assert!(line.starts_with("\ril verify: "), "{shown:?}");
    assert!(rest.contains("whole: 3 sessions"), "{shown:?}");
    let percents: Vec<u32> = line
        .split("\ril verify: ")
        .skip(1)
        .map(|step| {
            step.trim_end_matches("\x1b[K").trim_end_matches('%').parse().expect("a number")
        })
        .collect();
    assert!(percents.len() > 1 && percents.is_sorted(), "{percents:?}");
    // Elsewhere there is none.
    let piped = stdout(&mut house.il(&["verify"]));
    assert!(!piped.contains('\r'), "{piped:?}");
}
