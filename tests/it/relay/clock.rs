//! Clocks that jump while a command runs: the session's own time does not, and the jump is told.

use std::process::Command;
use std::time::Duration;

use crate::util::*;

/// Stands before the C library's clocks: adds the seconds that the file `$CLOCKS` names, for the
/// wall clock and for the one that counts a suspended machine's time, to what they say.
const CLOCKS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    long long wall = 0, boot = 0;
    FILE *file = fopen(getenv("CLOCKS"), "re");
    if (file) {
        if (fscanf(file, "%lld %lld", &wall, &boot) != 2)
            abort();
        fclose(file);
    }
    if (id == CLOCK_REALTIME)
        now->tv_sec += wall;
    if (id == CLOCK_BOOTTIME)
        now->tv_sec += boot;
    return failed;
}
"#;

/// Records a command, sets the clocks ahead by (`wall_s`, `boot_s`) while it sleeps, and returns the
/// home it left.
fn set_clocks(wall_s: i64, boot_s: i64) -> Home {
    let home = Home::new();
    home.write("clocks.c", CLOCKS);
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o", "clocks.so", "clocks.c"]).current_dir(home.work("."));
    assert!(cc.status().unwrap().success());
    let mut il = home.il_run(&["sh", "-c", "echo READY; read go; sleep 1.5; echo DONE"]);
    il.env("LD_PRELOAD", home.work("clocks.so")).env("CLOCKS", home.work("now"));
    let mut term = Term::spawn(il);
    term.expect("READY");
    std::thread::sleep(Duration::from_millis(1100));
    home.write("then", format!("{wall_s} {boot_s}"));
    std::fs::rename(home.work("then"), home.work("now")).unwrap();
    term.send("\r");
    term.expect("DONE");
    term.wait();
    home
}

/// The only event of a kind: the number of one of its members.
fn number(home: &Home, kind: &str, member: &str) -> i64 {
    let events = home.events_of(kind);
    assert_eq!(events.len(), 1, "{kind}: {events:?}");
    events[0][member].as_i64().unwrap_or_else(|| panic!("{kind}: {events:?}"))
}

#[test]
fn a_wall_clock_that_is_set_is_told_and_moves_no_time() {
    for hours in [1, -2] {
        let home = set_clocks(hours * 3600, 0);
        let jump_us = number(&home, "clock_jump", "jump_us");
        assert!((jump_us - hours * 3_600_000_000).abs() < 1_000_000, "{jump_us}");
        assert!(home.events_of("suspended").is_empty());
        let shown = home.show();
        let took_ms = shown["duration_ms"].as_i64().unwrap_or_else(|| panic!("{shown}"));
        assert!((2000..3_000_000).contains(&took_ms), "{took_ms}");
    }
}

#[test]
fn a_suspended_machine_is_told_and_is_no_idle_time() {
    // Eight hours asleep: the wall clock has gone on as well, which is no jump.
    let home = set_clocks(8 * 3600, 8 * 3600);
    let suspended_us = number(&home, "suspended", "suspended_us");
    assert!((suspended_us - 8 * 3_600_000_000).abs() < 1_000_000, "{suspended_us}");
    assert!(home.events_of("clock_jump").is_empty());
}
