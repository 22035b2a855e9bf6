//! A player that goes anywhere shows what one shows that went there step by step.

use crate::noise::Rng;
use intentloop::format::recording::Action;
use intentloop::library::{Player, Step};
use intentloop::session::{Meta, SessionId, WindowSize};
use intentloop::store::{Access, Exit, NewSession, StreamId};
use intentloop::term::{Format, Options, Terminal};
use intentloop::{Library, Store};
use std::path::PathBuf;

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

fn picture(terminal: &Terminal) -> String {
    terminal.screen().render(Format::Json, 0)
}

#[test]
fn any_moment_is_shown_as_if_played_to() {
    let mut rng = Rng::new(7);
    let mut t_us = 0;
    let frames = (0..60_000).map(|n| {
        t_us += rng.below(2000) as u64;
        if rng.one_in(500) {
            // Rows of the history that a growing window takes back are in the keyframes, but not
            // how they were wrapped.
            let rows = 3 + rng.below(30);
            let event = format!("{{\"kind\":\"resize\",\"cols\":40,\"rows\":{rows}}}");
            return (t_us, StreamId::EVENTS, event.into_bytes());
        }
        let bytes = match rng.below(6) {
            0 => format!("\x1b[{};{}H", rng.below(30), rng.below(60)),
            1 => format!("\x1b[{}m", rng.below(110)),
            2 => "\r\n".to_owned(),
            3 => {
                ["\x1b[?1049h", "\x1b[?1049l", "\x1b[2J", "\x1b7", "\x1b8"][rng.below(5)].to_owned()
            }
            // The middle of a character or of a sequence may be a keyframe's place.
            4 => {
                return (
                    t_us,
                    StreamId::STDOUT,
                    b"\xe4\xb8\x96\x1b[3"[..1 + rng.below(5)].to_vec(),
                );
            }
            _ => format!("number {n} 世界 with some words "),
        };
        (t_us, StreamId::STDOUT, bytes.into_bytes())
    });
    let frames: Vec<_> = frames.collect();
    let end_us = t_us;
    let (dir, library) = library("any", frames.into_iter());
    let session = library.find(None).expect("the session");

    let mut player = Player::new(&library, &session);
    while player.index(1 << 16) {}
    assert_eq!(player.indexed(), (end_us, true));
    for _ in 0..40 {
        let t_us = rng.below(end_us as usize + 1000) as u64;
        assert!(player.seek(t_us));
        let mut replay = library.replay(&session);
        let mut linear = session.terminal(Options::default());
        while replay.peek_us().is_some_and(|next_us| next_us <= t_us) {
            if let Step::Action((_, action)) = replay.next() {
                action.show_on(&mut linear);
            }
        }
        assert_eq!(player.now_us(), t_us);
        assert_eq!(player.terminal().screen().size(), linear.screen().size(), "at {t_us}");
        assert_eq!(picture(player.terminal()), picture(&linear), "at {t_us}");
    }
    std::fs::remove_dir_all(dir).expect("removed");
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
