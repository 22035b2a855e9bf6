//! A store that fails never changes what the command prints or returns; the user hears of it once.

use std::process::Command;

use crate::util::*;

/// Prints enough to fill any small store, in two kinds of output, and ends with a status.
const WORK: &str = "sh -c 'cat output; echo last; exit 7'";
const OUTPUT_LEN: usize = 6 << 20;

/// Runs [`WORK`] under `il` in the surroundings that `prelude` (shell) makes. The terminal must
/// show exactly the bare run's bytes, then at most one line about the store; the status must be
/// the command's.
#[track_caller]
fn check_unharmed(home: &Home, prelude: &str) -> String {
    let output = printable(OUTPUT_LEN, 19);
    home.write("output", &output);
    let script = format!("{prelude}\nil run {WORK}");
    let ran = Term::spawn(home.sh(How::Recorded, &script)).finish();
    let expected = [as_shown(&output), b"last\r\n".to_vec()].concat();
    let head = &ran.screen[..ran.screen.len().min(expected.len())];
    assert_same_bytes(head, &expected, &format!("shown, with: {prelude}"));
    assert_eq!(ran.status.code(), Some(7), "{prelude}");
    let said = String::from_utf8_lossy(&ran.screen[expected.len()..]).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// [`check_unharmed`], and the user was told once that the recording is not whole.
#[track_caller]
fn check_told(home: &Home, prelude: &str) {
    let said = check_unharmed(home, prelude);
    let is_notice = |line: &&str| line.starts_with("il: ") && line.contains(" recorded: ");
    let lines: Vec<_> = said.lines().filter(is_notice).collect();
    assert_eq!(lines.len(), 1, "with: {prelude}: {said}");
}

#[test]
fn a_healthy_store_is_the_control() {
    let home = Home::new();
    let said = check_unharmed(&home, ":");
    assert!(said.ends_with("saved (il last)\r\n"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_file_size_limit_is_no_obstacle() {
    // In blocks of 512 bytes: 0, 4 KiB, 1 MiB.
    for blocks in [0, 8, 2048] {
        check_told(&Home::new(), &format!("ulimit -f {blocks}"));
    }
}

#[test]
fn a_full_disk_is_no_obstacle() {
    let home = Home::new();
    std::fs::create_dir(home.store()).unwrap();
    let output = printable(OUTPUT_LEN, 19);
    home.write("output", &output);
    // A filesystem of its own, in a mount namespace that ends with the shell.
    let script = format!(
        "mount -t tmpfs -o size=2m,mode=700 tmpfs {store} && il run {WORK}; status=$?; \
         il list --json --all >list; il dump stdout >kept; exit $status",
        store = home.store().display()
    );
    let ran = in_mount_namespace(&home, &script);
    let expected = [as_shown(&output), b"last\r\n".to_vec()].concat();
    let head = &ran.screen[..ran.screen.len().min(expected.len())];
    assert_same_bytes(head, &expected, "shown");
    assert_eq!(ran.status.code(), Some(7));
    let kept = home.read("kept");
    assert!(!kept.is_empty(), "what fitted is kept");
    assert!(kept.len() < expected.len());
    assert!(expected.starts_with(&kept[..4096.min(kept.len())]));
}

/// Runs a script in a mount namespace of its own, as root there.
fn in_mount_namespace(home: &Home, script: &str) -> Outcome {
    let rootless = Command::new("unshare").args(["-m", "true"]).status().unwrap();
    let mut command = home.command("unshare");
    command.arg(if rootless.success() { "-m" } else { "-rm" });
    command.args(["sh", "-c", script]);
    Term::spawn(command).finish()
}

#[test]
fn a_home_that_cannot_be_written_is_no_obstacle() {
    for place in ["/proc/nowhere/il", "/dev/null/il", "/dev/full", "/sys"] {
        check_told(&Home::new(), &format!("export INTENTLOOP_HOME={place}"));
    }
    let script = "il run -q sh -c 'echo out; exit 7'; echo $?";
    let home = Home::new();
    std::fs::create_dir(home.store()).unwrap();
    let script = format!(
        "mount -t tmpfs -o mode=700 tmpfs {store} && mount -o remount,ro {store} && {script}",
        store = home.store().display()
    );
    let ran = in_mount_namespace(&home, &script);
    assert!(ran.text().starts_with("out\r\n") && ran.text().ends_with("7\r\n"), "{ran:?}");
}

#[test]
fn a_home_that_is_nowhere_is_no_obstacle() {
    check_told(&Home::new(), "unset INTENTLOOP_HOME; export HOME=/proc/nowhere");
    check_told(&Home::new(), "export INTENTLOOP_HOME=; export HOME=/dev/null");
}

#[test]
fn a_damaged_store_is_no_obstacle() {
    for damage in [
        "find $INTENTLOOP_HOME -type f -exec truncate -s 0 {} +",
        "find $INTENTLOOP_HOME -type f -exec truncate -s 100 {} +",
        "for f in $(find $INTENTLOOP_HOME -type f); do head -c 100000 /dev/zero >$f; done",
        "for f in $(find $INTENTLOOP_HOME -type f); do head -c 100000 output >$f; done",
        "for f in $(find $INTENTLOOP_HOME -type f); do rm $f; mkdir $f; done",
    ] {
        check_unharmed(&Home::new(), &format!("il run -q true; {damage}"));
    }
}

#[test]
fn a_store_removed_during_the_run_is_no_obstacle() {
    for removal in [
        "rm -rf $INTENTLOOP_HOME",
        "find $INTENTLOOP_HOME -type f -delete",
        "find $INTENTLOOP_HOME -type f -exec truncate -s 0 {} +",
        "find $INTENTLOOP_HOME -type f -exec truncate -s 5000 {} +",
    ] {
        let home = Home::new();
        let output = printable(OUTPUT_LEN, 19);
        home.write("output", &output);
        let script = format!("cat output; {removal}; cat output; echo last; exit 7");
        home.write("work", script);
        let ran = Term::spawn(home.sh(How::Recorded, "il run sh work")).finish();
        let twice = [as_shown(&output), as_shown(&output), b"last\r\n".to_vec()].concat();
        let head = &ran.screen[..ran.screen.len().min(twice.len())];
        assert_same_bytes(head, &twice, removal);
        assert_eq!(ran.status.code(), Some(7), "{removal}");
    }
}

#[test]
fn a_limit_on_memory_or_descriptors_is_no_obstacle() {
    check_unharmed(&Home::new(), "ulimit -n 16");
    check_unharmed(&Home::new(), "ulimit -l 0 2>/dev/null");
}

#[test]
fn recording_goes_on_when_there_is_room_again() {
    let home = Home::new();
    std::fs::create_dir(home.store()).unwrap();
    home.write("output", printable(OUTPUT_LEN, 19));
    // The filler keeps the first flood out; once it has gone, the recorder finds room by itself.
    home.write(
        "work",
        "cat output; rm $INTENTLOOP_HOME/filler; i=0
         while [ $i -lt 100 ]; do echo after $i; sleep 0.05; i=$((i + 1)); done",
    );
    let script = format!(
        "mount -t tmpfs -o size=16m,mode=700 tmpfs {store} && il run -q true &&
         head -c 15m /dev/zero >{store}/filler; il run sh work; il show --json >show
         il dump stdout >kept",
        store = home.store().display()
    );
    let ran = in_mount_namespace(&home, &script);
    let expected = as_shown(&printable(OUTPUT_LEN, 19));
    assert_same_bytes(&ran.screen[..expected.len()], &expected, "shown");
    assert!(contains(&ran.screen, "after 99\r\n"));
    let show: serde_json::Value = serde_json::from_slice(&home.read("show")).unwrap();
    assert_eq!(show["gaps"], 1, "{show}");
    assert!(show["bytes_dropped"].as_u64() > Some(0), "{show}");
    let kept = home.read("kept");
    assert!(kept.ends_with(b"after 99\r\n"), "what came after the gap is kept");
    assert!(kept.len() < expected.len());
}

#[test]
fn a_run_that_must_be_recorded_refuses_to_start() {
    for place in ["/proc/nowhere/il", "/dev/null/il"] {
        let home = Home::new();
        let script =
            format!("export INTENTLOOP_HOME={place}; il run --require-record touch ran; echo $?");
        let shown = run(&home, How::Recorded, &script).text();
        assert!(shown.starts_with("il run: "), "{shown}");
        assert!(shown.ends_with("125\r\n"), "{shown}");
        assert!(!home.work("ran").exists());
    }
    let home = Home::new();
    let ran = run(&home, How::Recorded, "il run -q --require-record sh -c 'exit 4'");
    assert_eq!(ran.status.code(), Some(4));
}
