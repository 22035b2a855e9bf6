//! The terminal engine's limits, through the commands that use it: characters cut anywhere, the
//! largest and the smallest window, and back.

use std::fmt::Write;

use crate::util::{Home, Term, output_of};

/// What is printed, and the cells it takes in cluster mode.
const CLUSTERS: [(&str, usize); 8] = [
    ("🚀", 2),
    ("⚠\u{fe0f}", 2),
    ("👍🏽", 2),
    ("🇫🇷", 2),
    ("1\u{fe0f}\u{20e3}", 2),
    ("👩\u{200d}💻", 2),
    ("👨\u{200d}👩\u{200d}👧\u{200d}👦", 2),
    ("e\u{301}", 1),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Runs `il vt --steps`, with no more than a GiB of memory.
fn check(name: &str, steps: &str) {
    let home = Home::new();
    home.write("steps", steps);
    let mut command = home.command("sh");
    command.args(["-c", "ulimit -v 1048576; exec il vt --steps steps"]);
    let output = output_of(command).expect("il can be started");
    assert!(output.status.success(), "{name}: {}", output.stderr.escape_ascii());
}

#[test]
fn an_emoji_cut_at_every_byte_is_one_emoji() {
    for (cluster, cells) in CLUSTERS {
        let text = format!("a{cluster}b");
        let shown = serde_json::to_string(&text).expect("text");
        let expected = format!("{{\"row\":[0,{shown}]}}\n{{\"cursor\":[0,{}]}}\n", cells + 2);
        let mut steps = String::new();
        for at in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(at);
            let (head, tail) = (hex(head), hex(tail));
            write!(
                steps,
                "{{\"size\":[5,20]}}\n{{\"feed\":\"{head}\"}}\n{{\"feed\":\"{tail}\"}}\n"
            )
            .expect("a string");
            steps.push_str(&expected);
        }
        steps.push_str("{\"size\":[5,20]}\n");
        for byte in text.bytes() {
            writeln!(steps, "{{\"feed\":\"{byte:02x}\"}}").expect("a string");
        }
        steps.push_str(&expected);
        check(cluster, &steps);
    }
}

#[test]
fn the_largest_window_is_bounded_and_the_smallest_one_works() {
    let text = hex("one 世界🚀 two\r\nthree".as_bytes());
    let back = "{\"row\":[0,\"one 世界🚀 two\"]}\n{\"row\":[1,\"three\"]}\n{\"cursor\":[1,5]}\n";
    check(
        "65535x65535",
        &format!(
            "{{\"size\":[65535,65535]}}\n{{\"feed\":\"{text}\"}}\n{back}\
             {{\"feed\":\"{}\"}}\n{{\"cursor\":[1999,1999]}}\n",
            hex(b"\x1b[65535;65535H")
        ),
    );
    // Lines that the terminal wrapped are whole again when there is room.
    check(
        "to 1x1 and back",
        &format!(
            "{{\"size\":[24,80]}}\n{{\"feed\":\"{}\"}}\n{{\"resize\":[1,1]}}\n{{\"cursor\":[0,0]}}\n\
             {{\"resize\":[65535,65535]}}\n{{\"resize\":[24,80]}}\n{{\"row\":[0,\"three\"]}}\n",
            hex(b"three")
        ),
    );
    check(
        "1x1",
        &format!(
            "{{\"size\":[1,1]}}\n{{\"feed\":\"{text}\"}}\n{{\"row\":[0,\"e\"]}}\n{{\"cursor\":[0,0]}}\n"
        ),
    );
}

#[test]
fn il_vt_itself_takes_any_size() {
    let home = Home::new();
    let shown = |size: &str| {
        let script = format!("ulimit -v 1048576; printf 'ab\\ncd' | il vt --size {size}");
        let mut command = home.command("sh");
        command.args(["-c", &script]);
        let output = output_of(command).expect("il can be started");
        assert!(output.status.success(), "{size}: {}", output.stderr.escape_ascii());
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(shown("65535x65535"), "ab\n  cd\n");
    assert_eq!(shown("1x1"), "d\n");
}

#[test]
fn a_recorded_window_goes_to_its_limits_and_back() {
    let home = Home::new();
    let mut script = String::from("printf 'before '; ");
    // An emoji that arrives byte by byte.
    for byte in "👩\u{200d}💻".bytes() {
        write!(script, "printf '\\{byte:03o}'; sleep 0.01; ").expect("a string");
    }
    script.push_str(
        "trap 'stty size' WINCH; echo; echo READY; until [ -e done ]; do sleep 0.05; done",
    );
    let mut term = Term::spawn(home.il_run(&["sh", "-c", &script]));
    term.expect("READY");
    let sizes = [(1, 1), (65535, 65535), (1, 65535), (65535, 1), (80, 24)];
    for (cols, rows) in sizes {
        term.resize(cols, rows);
        term.expect(format!("{rows} {cols}\r\n"));
    }
    home.write("done", "");
    term.wait();
    let text = String::from_utf8(home.dump("text")).expect("text");
    assert_eq!(text.matches("before 👩\u{200d}💻\n").count(), 1, "{text}");
    assert_eq!(text.matches("READY").count(), 1, "{text}");
    let screen = String::from_utf8(home.dump("screen")).expect("text");
    assert!(screen.contains("24 80"), "{screen}");
    for command in [&["show", "--json"][..], &["export", "html"], &["export", "cast"], &["frames"]]
    {
        home.il(command);
    }
}
