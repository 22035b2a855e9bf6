//! Flow control: nothing is lost, nothing is hoarded, nobody spins.

use std::time::Duration;

use rustix::process::Signal;

use crate::util::*;

/// The most memory a recorder may ever have used, in KiB.
const MEMORY_KIB_MAX: u64 = 10 << 10;

/// What il takes in one turn of a flood, and may have shown but not yet kept when it is killed.
const QUEUE_LEN: usize = 64 << 10;

/// The most bytes that may be on their way through a stalled relay: its own queue of 64 KiB and
/// what the kernel keeps in two PTYs, with room for the rounding of each.
const IN_FLIGHT_LEN_MAX: usize = 256 << 10;

/// After how long without progress a queue counts as full.
const QUIET: Duration = Duration::from_millis(500);

#[test]
fn a_slow_reader_gets_every_byte() {
    let home = Home::new();
    let len = repetitions(256 << 10, 10 << 20);
    home.write("output", printable(len, 9));
    let mut term = Term::spawn(home.sh(How::Recorded, "$REC cat output"));
    // Only the first part is read slowly: by then every queue has been full many times.
    while term.screen.len() < len / 2 {
        term.read_at_most(1024);
        std::thread::sleep(Duration::from_millis(1));
    }
    let ran = term.finish();
    assert_same_bytes(&ran.screen, &as_shown(&printable(len, 9)), "shown");
    assert_same_bytes(&home.dump("stdout"), &ran.screen, "kept");
}

#[test]
fn a_reader_that_goes_away_ends_the_writer_as_without_il() {
    check_same("$REC yes | head -1; echo done");
    check_same("bash -c '$REC yes | head -1; echo ${PIPESTATUS[*]}'");
    check_same("bash -c '$REC yes 2>&1 | head -c 100000 | cksum; echo ${PIPESTATUS[*]}'");
}

#[test]
fn output_into_a_pipe_is_kept() {
    let home = check_same("$REC seq 20000 | cksum");
    let expected: String = (1..=20000).map(|n| format!("{n}\n")).collect();
    assert_same_bytes(&home.dump("stdout"), expected.as_bytes(), "kept");
}

#[test]
fn the_flags_of_the_callers_descriptors_stay_as_they_are() {
    // The flags belong to the open file description, which il shares with its caller.
    let flags = "sh -c 'grep -h flags /proc/$OUTER/fdinfo/[012]'";
    check_same(&format!(
        ">flow; export OUTER=$$; {flags}; $REC {flags}; {flags};
         {flags} | cat; $REC {flags} | cat; $REC {flags} <flow 2>&1 >>out; {flags}"
    ));
}

#[test]
fn the_flags_stay_as_they_are_when_il_is_killed() {
    let home = Home::new();
    let script = "grep -h flags /proc/$$/fdinfo/[012] >before
        sh -c 'echo $$ >il; exec il run -q sh -c \"echo READY; exec sleep 1000\"'
        grep -h flags /proc/$$/fdinfo/[012] >after";
    let mut term = Term::spawn(home.sh(How::Recorded, script));
    term.expect("READY");
    kill(home.pid("il"), Signal::KILL);
    term.wait();
    assert_eq!(home.read("after"), home.read("before"));
}

#[test]
fn a_reader_that_stops_stops_the_writer() {
    let home = Home::new();
    let mut term = Term::spawn(home.il_run(&["fill", "written"]));
    let written: usize = wait_until("the writer to be stopped", || {
        std::fs::read_to_string(home.work("written")).ok()?.trim().parse().ok()
    });
    let peak = peak_memory_kib(term.pid());
    assert!(written <= IN_FLIGHT_LEN_MAX, "{written} bytes were taken for nobody");
    assert!(peak < MEMORY_KIB_MAX, "{peak} KiB");
    let status = {
        term.send(b"\x03");
        term.wait()
    };
    assert!(!status.success());
    assert!(term.screen.len() <= written, "output went on after ^C");
}

#[test]
fn a_command_that_never_reads_stops_the_typist() {
    let home = Home::new();
    let script = "stty raw -echo; echo READY; exec sleep 1000";
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("READY");
    let sent = term.send_until_full(64 << 20, QUIET);
    let peak = peak_memory_kib(term.pid());
    assert!(sent <= IN_FLIGHT_LEN_MAX, "{sent} bytes were taken for nobody");
    assert!(peak < MEMORY_KIB_MAX, "{peak} KiB");
    term.kill(Signal::TERM);
    term.wait();
}

#[test]
fn a_paste_that_is_echoed_and_answered_does_not_lock_up() {
    let home = Home::new();
    let paste = printable(repetitions(256 << 10, 10 << 20), 14);
    let mut term = Term::spawn(home.il_run(&["tee", "copy"]));
    term.until("raw mode", Term::is_raw);
    term.send(&paste);
    // A control-D ends the input only at the start of a line.
    term.send(b"\n\x04");
    assert!(term.wait().success());
    let mut expected = paste;
    expected.push(b'\n');
    assert_same_bytes(&home.read("copy"), &expected, "what the command read");
}

#[test]
fn an_idle_run_sleeps() {
    let home = Home::new();
    let mut term = Term::spawn(home.il_run(&["sh", "-c", "echo READY; exec sleep 1000"]));
    term.expect("READY");
    // How often a process was scheduled, and for how long: both stand still only while it sleeps
    // in one system call.
    let activity = |pid| {
        let path = format!("/proc/{}/schedstat", rustix::process::Pid::as_raw_nonzero(pid));
        std::fs::read_to_string(path).unwrap()
    };
    let all: Vec<_> = std::iter::once(term.pid()).chain(children_of(term.pid())).collect();
    wait_until("the start to be over", || {
        let before: Vec<_> = all.iter().map(|&pid| activity(pid)).collect();
        std::thread::sleep(Duration::from_millis(1300));
        (before == all.iter().map(|&pid| activity(pid)).collect::<Vec<_>>()).then_some(())
    });
    let before: Vec<_> = all.iter().map(|&pid| activity(pid)).collect();
    std::thread::sleep(Duration::from_secs(repetitions(1, 10) as u64));
    let after: Vec<_> = all.iter().map(|&pid| activity(pid)).collect();
    assert_eq!(after, before, "time on the processor, waiting for it, and turns");
}

#[test]
fn a_megabyte_paste_arrives_whole() {
    let home = Home::new();
    let mut paste = b"\x1b[200~".to_vec();
    paste.extend(noise(1 << 20, 16));
    paste.extend(b"\x1b[201~");
    let len = paste.len().to_string();
    let mut term = Term::spawn(home.il_run(&["rawread", &len, "read"]));
    term.expect("READY");
    term.send(&paste);
    let ran = term.finish();
    assert!(ran.status.success(), "{ran:?}");
    assert_same_bytes(&home.read("read"), &paste, "what the command read");
    assert_same_bytes(&home.dump("stdin"), &paste, "kept");
}

#[test]
fn a_long_line_is_cut_as_the_terminal_cuts_it() {
    for how in [How::Bare, How::Recorded] {
        let home = Home::new();
        let mut term = Term::spawn(home.sh(how, "stty -echo; echo READY; $REC cat >read"));
        term.expect("READY");
        if how == How::Recorded {
            term.until("raw mode", Term::is_raw);
        }
        term.send([b'x'; 5000]);
        term.send(b"\n\x04");
        term.wait();
        // N_TTY keeps 4095 bytes of a line and its end.
        assert_eq!(home.read("read").len(), 4096, "{how:?}");
    }
}

#[test]
fn stopped_and_restarted_output_is_whole() {
    let home = Home::new();
    let output = printable(256 << 10, 17);
    home.write("output", &output);
    let script = "echo READY; read go; cat output; echo END";
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("READY\r\n");
    term.send(b"\x13\r");
    let while_stopped = {
        std::thread::sleep(QUIET);
        term.read_some();
        term.screen.len()
    };
    term.send(b"\x11");
    let shown = term.expect("END\r\n");
    assert!(while_stopped < 4096, "{while_stopped} bytes came through ^S");
    let shown = shown.strip_prefix(b"\r\n").unwrap_or(&shown);
    let expected = [as_shown(&output), b"END\r\n".to_vec()].concat();
    assert_same_bytes(shown, &expected, "after ^Q");
}

#[test]
fn what_was_shown_is_kept_when_il_is_killed_in_a_flood() {
    for round in 0..repetitions(5, 1000) {
        let home = Home::new();
        home.write("output", printable(8 << 20, 18));
        let mut term = Term::spawn(home.il_run(&["cat", "output"]));
        while term.screen.len() < (round * 37_123) % (4 << 20) + 1 {
            term.read_some();
        }
        term.kill(Signal::KILL);
        term.wait();
        while !matches!(term.read_some(), None | Some(0)) {}
        let kept = home.dump("stdout");
        let shown = &term.screen;
        let lost = shown.len().saturating_sub(kept.len());
        assert!(lost <= QUEUE_LEN, "{} bytes were shown, {} kept", shown.len(), kept.len());
        let both = kept.len().min(shown.len());
        assert_same_bytes(&kept[..both], &shown[..both], "kept and shown");
        assert_eq!(home.status(), "lost");
    }
}
