//! A player that goes anywhere shows what one shows that went there step by step.

use crate::noise::{Rng, stream};
use intentloop::event::Evidence;
use intentloop::format::recording::Action;
use intentloop::library::{KEEP_OUTPUT_MIN, Player, Step};
use intentloop::session::{Meta, SessionId, WindowSize};
use intentloop::store::{Access, Exit, NewSession, StreamId};
use intentloop::term::{Format, Options, Terminal};
use intentloop::{Library, Store};
use std::path::{Path, PathBuf};

const START_US: i64 = 1_780_000_000_000_000;

/// A session of these frames: a time, a stream, and bytes.
fn library(
    name: &str,
    frames: impl Iterator<Item = (u64, StreamId, Vec<u8>)>,
) -> (PathBuf, Library) {
    let dir = std::env::temp_dir().join(format!("il-seek-{name}-{}", std::process::id()));
    let store = Store::open(&dir, Access::Write).expect("a store");
    let id = SessionId::new(START_US as u64 / 1000, *b"seek seek!");
    let meta = Meta { size: Some(WindowSize { cols: 40, rows: 12 }), ..Meta::default() }.to_json();
    let new = NewSession { id: id.0, start_us: START_US, label: [0; 16], meta: meta.as_bytes() };
    let mut writer = store.begin(&new).expect("a session");
    for (t_us, stream, bytes) in frames {
        writer.append(stream, t_us, &bytes);
    }
    writer.end(Exit::Code(0), START_US + 1_000_000_000).expect("an end");
    let library = Library::open(&dir).expect("a library");
    (dir, library)
}

/// Everything that can be seen of a terminal, or be seen of it later.
fn portrait(terminal: &Terminal) -> String {
    let keyframe = String::from_utf8_lossy(&terminal.keyframe()).replace('\x1b', "␛");
    terminal.screen().render(Format::Json, 0) + &keyframe
}

/// A session of about `len` bytes: words, and sequences of every kind, cut anywhere; now and then
/// the window changes.
fn frames(rng: &mut Rng, len: usize) -> Vec<(u64, StreamId, Vec<u8>)> {
    let (mut frames, mut t_us, mut done) = (Vec::new(), 0, 0);
    while done < len {
        // Several things may happen at one microsecond.
        t_us += rng.below(2000).saturating_sub(500) as u64;
        if rng.one_in(400) {
            let (cols, rows) = (20 + rng.below(40), 3 + rng.below(30));
            let event = format!("{{\"kind\":\"resize\",\"cols\":{cols},\"rows\":{rows}}}");
            frames.push((t_us, StreamId::EVENTS, event.into_bytes()));
            continue;
        }
        let mut bytes = match rng.below(4) {
            0 => stream(rng, 8),
            n => format!("{} with some words\r\n", "number 世界 ".repeat(rng.below(30 * n)))
                .into_bytes(),
        };
        // A string of which no end comes would hide the rest.
        bytes.extend_from_slice(if rng.one_in(4) { b"" } else { b"\x1b\\" });
        let cut = rng.below(bytes.len());
        done += bytes.len();
        let later = bytes.split_off(cut);
        frames.push((t_us, StreamId::STDOUT, bytes));
        frames.push((t_us + rng.below(2) as u64, StreamId::STDIN, b"x".to_vec()));
        t_us += 1;
        frames.push((t_us, StreamId::STDOUT, later));
    }
    frames
}

/// Goes to moments in any order, and compares each with what it is when all before it is played.
fn check(name: &str, library: &Library, seeks: usize, end_us: u64) {
    let session = library.find(None).expect("the session");
    let mut player = Player::new(library, &session);
    assert_eq!(player.indexed().1, name != "made now", "{name}");
    while player.index(1 << 16) {}
    library.keep_keyframes(&session, &player);
    let mut rng = Rng::new(11);
    let mut moments: Vec<u64> =
        (0..seeks).map(|_| rng.below(end_us as usize + 1000) as u64).collect();
    let mut seen: Vec<(u64, String)> = moments
        .iter()
        .map(|t_us| {
            assert!(player.seek(*t_us));
            assert_eq!(player.now_us(), *t_us);
            (*t_us, portrait(player.terminal()))
        })
        .collect();
    seen.sort();
    moments.sort_unstable();
    let mut replay = library.replay(&session);
    let mut linear = session.terminal(Options::default());
    for (t_us, seen) in seen {
        while replay.peek_us().is_some_and(|next_us| next_us <= t_us) {
            if let Step::Action((_, action)) = replay.next() {
                action.show_on(&mut linear);
            }
        }
        let differs =
            (0..).zip(seen.chars().zip(portrait(&linear).chars())).find(|(_, (a, b))| a != b);
        assert_eq!((differs, seen.len()), (None, portrait(&linear).len()), "{name} at {t_us}");
    }
    let (terminal, _) = library.screen_at(&session, moments[seeks / 2]);
    player.seek(moments[seeks / 2]);
    assert_eq!(portrait(&terminal), portrait(player.terminal()), "{name}");
}

fn keyframes(library: &Library) -> Vec<Vec<u8>> {
    let entry = library.store().entries().expect("entries").next().expect("the session");
    let records = library.store().records(&entry, StreamId::KEYFRAMES);
    records.map(|(_, record)| record).collect()
}

/// A library that has read what is in the store by now.
fn again(dir: &Path) -> Library {
    Library::on(Store::open(dir, Access::Write).expect("a store"))
}

#[test]
fn any_moment_is_shown_as_if_played_to() {
    let mut rng = Rng::new(7);
    let frames = frames(&mut rng, KEEP_OUTPUT_MIN as usize);
    let end_us = frames.last().expect("a frame").0;
    let (dir, _) = library("any", frames.into_iter());
    let library = again(&dir);
    check("made now", &library, 6, end_us);
    let made = keyframes(&library);
    assert!(made.len() >= 2, "{} keyframes", made.len());
    check("kept", &again(&dir), 6, end_us);

    let entry = library.store().entries().expect("entries").next().expect("the session");
    assert!(library.store().pack(&entry).expect("packed"));
    check("packed", &again(&dir), 6, end_us);

    library.store().compact(&mut |_| {}).expect("compacted");
    check("compacted", &again(&dir), 2, end_us);
    assert_eq!(keyframes(&again(&dir)), made);
    std::fs::remove_dir_all(dir).expect("removed");
}

/// What the metadata says of the keyframes.
fn set_meta(dir: &Path, keyframes: &str) {
    let library = again(dir);
    let entry = library.store().entries().expect("entries").next().expect("the session");
    let mut writer = library.store().resume(&entry).expect("a writer");
    let meta = format!("{{\"size\":{{\"cols\":40,\"rows\":12}},\"keyframes\":{keyframes}}}");
    writer.append(StreamId::META, 0, meta.as_bytes());
    writer.end(Exit::Unknown, 0).expect("an end");
}

#[test]
fn keyframes_that_cannot_be_relied_on_are_made_anew() {
    let line = "many words in a line, and so on and so forth\r\n".repeat(100);
    let count = KEEP_OUTPUT_MIN as usize / line.len() + 1;
    let frames = (0..count as u64)
        .map(|n| (n * 1000, StreamId::STDOUT, [b"\x1b[2J", line.as_bytes()].concat()));
    let (dir, library) = library("anew", frames);
    let is_kept = || {
        let library = again(&dir);
        let session = library.find(None).expect("the session");
        Player::new(&library, &session).indexed().1
    };
    let read_again = || {
        let library = again(&dir);
        library.rederive(&library.find(None).expect("the session")).expect("read again");
    };
    assert!(!is_kept());
    read_again();
    assert!(is_kept());
    let one = keyframes(&library).len();
    for broken in [
        "{\"v\":2,\"skip\":0,\"count\":1,\"markers\":0}",
        "{\"v\":1,\"skip\":99,\"count\":1,\"markers\":0}",
        "{\"v\":1,\"skip\":0,\"count\":99999999,\"markers\":0}",
        "{\"v\":1,\"skip\":0,\"count\":1}",
        "7",
    ] {
        set_meta(&dir, broken);
        assert!(!is_kept(), "{broken}");
    }
    read_again();
    assert!(is_kept());
    assert_eq!(keyframes(&library).len(), 2 * one);
    read_again();
    assert_eq!(keyframes(&library).len(), 2 * one, "those that are kept will do");
    std::fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn of_less_output_none_are_kept_and_what_is_scrubbed_is_in_none() {
    for len in [KEEP_OUTPUT_MIN - 1, KEEP_OUTPUT_MIN] {
        let secret = b"\x1b[2J\x1b[Hthe-password";
        let rest = len as usize - secret.len();
        let blank = b"\x1b[3H".repeat(1000);
        let mut frames = vec![(0, StreamId::STDOUT, secret.to_vec())];
        frames.extend((0..rest.div_ceil(blank.len())).map(|n| {
            let len = blank.len().min(rest - n * blank.len());
            (1 + n as u64, StreamId::STDOUT, blank[..len].to_vec())
        }));
        let (dir, _) = library(&format!("scrub-{len}"), frames.into_iter());
        let library = again(&dir);
        let session = || library.find(None).expect("the session");
        library.rederive(&session()).expect("read again");
        let holding = |what: &[u8]| {
            let all = keyframes(&library);
            all.iter().filter(|one| one.windows(what.len()).any(|w| w == what)).count()
        };
        let wanted = usize::from(len == KEEP_OUTPUT_MIN);
        assert_eq!(holding(b"the-password").min(1), wanted);
        let place = Evidence { stream: "stdout".to_owned(), offset: 7, len: 12 };
        library.settled(&session(), &mut |_, _| Ok(())).expect("its text");
        library.scrub(&session(), &[place]).expect("scrubbed");
        assert_eq!((holding(b"the-password"), holding(b"xxxxxxxxxxxx").min(1)), (0, wanted));
        let mut text = Vec::new();
        library.copy(&session(), "text", &mut text).expect("its text");
        assert_eq!(text, b"xxxxxxxxxxxx\n");
        std::fs::remove_dir_all(dir).expect("removed");
    }
}

#[test]
fn a_change_that_lies_across_two_pages_is_read() {
    // Events of this length cannot all end where a page does.
    let frames = (0..2000u64).map(|n| {
        let event =
            format!("{{\"kind\":\"resize\",\"cols\":{},\"rows\":5,\"x\":\"{n:0>90}\"}}", n + 1);
        (n, StreamId::EVENTS, event.into_bytes())
    });
    let (dir, library) = library("pages", frames);
    let session = library.find(None).expect("the session");
    let mut replay = library.replay(&session);
    let mut cols = Vec::new();
    while let Step::Action((_, action)) = replay.next() {
        if let Action::Resize(size) = action {
            cols.push(size.cols);
        }
    }
    assert_eq!(cols, (1..=2000).collect::<Vec<u16>>());
    std::fs::remove_dir_all(dir).expect("removed");
}
