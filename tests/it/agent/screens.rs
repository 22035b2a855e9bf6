//! What real agents showed on their screens: requests for permission, thoughts, and how that joins
//! what their transcripts say.

use super::*;

/// What crossed a real terminal: `<microseconds> <i or o> <base64>` a line.
fn recording(name: &str) -> Vec<(u64, Direction, Vec<u8>)> {
    let path = root("screens").join(format!("{name}.rec"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let crossing = |line: &str| {
        let [time, way, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let direction = if way == "o" { Direction::Output } else { Direction::Input };
        (time.parse().expect("a time"), direction, base64(bytes))
    };
    text.lines().map(crossing).collect()
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut len) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(|b| DIGITS.iter().position(|d| *d == b)) {
        (bits, len) = (bits << 6 | digit as u32, len + 6);
        if len >= 8 {
            len -= 8;
            out.push((bits >> len) as u8);
        }
    }
    out
}

fn seen_approvals(name: &str, started: WallTime) -> Vec<Event> {
    let recording = recording(name);
    let crossings = recording.iter().map(|(t_us, direction, bytes)| Crossing {
        t_us: *t_us,
        direction: *direction,
        bytes,
    });
    dialog::approvals(crossings, Size::new(100, 32), started)
}

type Answered = (&'static str, &'static str, &'static str);

/// Recording, and of each dialog in it: the first words of the question, the answer, the key. The
/// answers are those that the agents' transcripts tell of, by a record or by what the tool said.
const DIALOGS: &[(&str, &[Answered])] = &[
    (
        "claude",
        &[
            ("Do you want to proceed?", "allow_once", "enter"),
            ("Do you want to proceed?", "reject_once", "enter"),
        ],
    ),
    (
        "codex",
        &[
            ("Would you like to run", "allow_once", "enter"),
            ("Would you like to run", "reject_once", "esc"),
        ],
    ),
    (
        "kimi",
        &[("Run this command?", "allow_once", "enter"), ("Run this command?", "cancelled", "esc")],
    ),
    (
        "copilot",
        &[
            ("Do you trust the files", "allow_once", "enter"),
            ("Do you want to run", "allow_once", "enter"),
            ("Do you want to run", "reject_once", "esc"),
        ],
    ),
    (
        "opencode",
        &[
            ("Permission required", "allow_once", "enter"),
            ("Permission required", "allow_once", "enter"),
            ("Permission required", "reject_once", "enter"),
            ("Permission required", "allow_once", "enter"),
        ],
    ),
    ("qwen", &[("Apply this change?", "allow_once", "enter")]),
];

#[test]
fn requests_for_permission_are_seen_on_real_screens() {
    for (name, expected) in DIALOGS {
        let events = seen_approvals(name, WallTime::default());
        let seen: Vec<_> = events
            .iter()
            .map(|e| match &e.body {
                Body::Approval(a) => (
                    a.ask.as_str(),
                    a.decision.map_or("", Decision::as_str),
                    a.key.as_deref().unwrap_or("-"),
                ),
                body => panic!("{}", body.kind()),
            })
            .collect();
        assert_eq!(seen.len(), expected.len(), "{name}: {seen:?}");
        let output: Vec<u8> = recording(name)
            .into_iter()
            .filter(|(_, direction, _)| *direction == Direction::Output)
            .flat_map(|(_, _, bytes)| bytes)
            .collect();
        for event in &events {
            // What painted the dialog, its answers among it.
            let evidence = event.evidence.as_ref().expect("evidence");
            let (from, len) = (evidence.offset as usize, evidence.len as usize);
            let painted = String::from_utf8_lossy(&output[from..from + len]).into_owned();
            let Body::Approval(approval) = &event.body else { panic!("{}", event.body.kind()) };
            let word = approval.options[0].split(' ').next().expect("a word");
            assert!(painted.contains(word), "{name}: {word}: {painted:?}");
        }
        for (seen, expected) in seen.iter().zip(*expected) {
            assert!(seen.0.starts_with(expected.0), "{name}: {seen:?}");
            assert_eq!((seen.1, seen.2), (expected.1, expected.2), "{name}");
        }
    }
}

/// What a recorded screen shows of thoughts, and the output.
fn seen_thoughts(name: &str) -> (Vec<thinking::Seen>, Vec<u8>) {
    let mut finder = thinking::Finder::of(name).expect(name);
    let mut settled = Settled::new(Size::new(100, 32), Options::default());
    let mut output = Vec::new();
    let mut last_us = 0;
    for (t_us, direction, bytes) in recording(name) {
        if direction == Direction::Output {
            settled.feed(t_us, &bytes);
            output.extend(bytes);
            last_us = t_us;
        }
        settled.take_lines().iter().for_each(|line| finder.feed(line));
    }
    settled.finish(last_us).iter().for_each(|line| finder.feed(line));
    (finder.finish(), output)
}

/// Recording, what it shows of each thought, and how many of them were drawn word by word: opencode
/// leaves the letters that the row had before.
const THOUGHTS: &[(&str, &[&str], usize)] = &[
    ("claude", &["Thought for 1s", "Thought for 1s"], 2),
    ("copilot", &["Thought for 1s", "Thought for 1s"], 2),
    ("opencode", &["Thought: 52ms", "Thought: 27ms", "Thought: 33ms"], 2),
    // What it thinks goes where nobody looks by default.
    ("codex", &[], 0),
];

#[test]
fn thoughts_are_seen_on_real_screens() {
    for (name, expected, whole) in THOUGHTS {
        let (seen, output) = seen_thoughts(name);
        let texts: Vec<&str> = seen.iter().map(|seen| seen.text.as_str()).collect();
        assert_eq!(texts, *expected, "{name}");
        let mut exact = 0;
        for seen in &seen {
            let window = seen.window();
            let window = window.start as usize..output.len().min(window.end as usize);
            let span = seen.span(&output[window]);
            let drawn = &output[span.start as usize..span.end as usize];
            let drawn = text::plain(&String::from_utf8_lossy(drawn)).replace(' ', "");
            let took = seen.text.rsplit(' ').next().expect("a word");
            assert!(drawn.contains(took), "{name}: {seen:?}");
            exact += usize::from(drawn == seen.text.replace(' ', ""));
        }
        assert_eq!(exact, *whole, "{name}");
    }
    assert!(thinking::Finder::of("kimi").is_none());
}

/// The lines stand on the screen a little later than the thoughts in the transcript, in which all
/// is said; the last of them belong to turns that were not filmed.
#[test]
fn what_the_screen_showed_of_thoughts_goes_to_the_right_ones() {
    let started = WallTime::parse_rfc3339("2026-11-20T23:05:38.800Z").expect("a time");
    let transcript = transcript("claude", &["7f3781e9-01bb-4faf-956b-b7cb15223a10.jsonl"]);
    let thoughts = transcript.events.iter().filter(|e| e.stream == MAIN);
    let thoughts = thoughts.filter(|e| matches!(e.body, Body::Thought(_)));
    let since = |e: &Event| e.time.map(|time| time.unix_us - started.unix_us);
    let thoughts: Vec<Option<i64>> = thoughts.map(since).collect();
    let (seen, _) = seen_thoughts("claude");
    let seen: Vec<i64> = seen.iter().map(|seen| seen.t_us as i64).collect();
    assert!(thoughts.len() > 2, "{thoughts:?}");
    assert_eq!(thinking::join(&thoughts, &seen), [Some(0), Some(1)]);
}

#[test]
fn what_the_screen_saw_joins_what_the_transcript_says() {
    // The recording began this much before the first prompt of the transcript was sent.
    let started = WallTime::parse_rfc3339("2026-11-20T23:05:38.800Z").expect("a time");
    let mut transcript = transcript("claude", &["7f3781e9-01bb-4faf-956b-b7cb15223a10.jsonl"]);
    let before = transcript.events.len();
    for mut seen in seen_approvals("claude", started) {
        if let Joined::After(at) = dialog::join(&mut transcript.events, &mut seen) {
            transcript.events.insert(at + 1, seen);
        }
    }
    number(&mut transcript.events);
    // One was told by the transcript too; the other only the screen has seen.
    assert_eq!(transcript.events.len(), before + 1);
    let approvals: Vec<_> = transcript
        .events
        .iter()
        .filter_map(|e| match &e.body {
            Body::Approval(a) => Some((e, a)),
            _ => None,
        })
        .collect();
    let told: Vec<_> = approvals
        .iter()
        .map(|(e, a)| (e.source, e.turn, a.call_id.as_deref(), a.decision))
        .collect();
    let (first, second) = ("toolu_01f93b244d97034f11b070c410", "toolu_016d80baa19d7c49539507cc2f");
    assert_eq!(
        told,
        [
            (Source::Pty, Some(1), Some(first), Some(Decision::AllowOnce)),
            (Source::Transcript, Some(2), Some(second), Some(Decision::RejectOnce)),
        ]
    );
    let (event, rejected) = approvals[1];
    assert_eq!(
        (rejected.waited_ms, rejected.key.as_deref(), event.also.len()),
        (Some(1054), Some("enter"), 1)
    );
}

#[test]
fn mutated_recordings_neither_panic_nor_hang() {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    for (name, _) in DIALOGS {
        let mut recording = recording(name);
        for (_, _, bytes) in &mut recording {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if state >> 61 == 0 && !bytes.is_empty() {
                let at = (state >> 32) as usize % bytes.len();
                bytes[at] = (state >> 24) as u8;
                bytes.truncate(at + bytes.len() / 2 + 1);
            }
        }
        let crossings = recording.iter().map(|(t_us, direction, bytes)| Crossing {
            t_us: *t_us,
            direction: *direction,
            bytes,
        });
        let seen = dialog::approvals(crossings, Size::new(100, 32), WallTime::default());
        assert!(seen.len() < 20, "{name}");
    }
}
