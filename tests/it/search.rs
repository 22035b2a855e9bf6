//! `il search`, with the real program on sessions made for it.

use intentloop::event::{
    AssistantMessage, Body, Source, Thought, ToolCall, ToolResult, UserMessage,
};
use intentloop::library::search::{Query, Told};
use intentloop::session::{DERIVED_VERSION, Derived, Meta, SessionId};
use intentloop::store::{Access, Exit, NewSession, Store, StreamId};
use intentloop::time::WallTime;
use intentloop::{Event, Library, Session};
use serde_json::Value;

use crate::house::{House, said};
use crate::plain::{run, stdout, succeed};
use crate::util::{Setup, Term, winsize};

/// 2026-05-30T13:12:33Z.
const START_US: i64 = 1_780_146_753_000_000;

/// A session of an agent: what it and its user said, a second apart, and what the screen showed.
fn add_agent(house: &House, number: u8, screen: &[&str], keys: &str, said: Vec<Body>) -> String {
    let start_us = START_US + i64::from(number) * 60_000_000;
    let started = WallTime { unix_us: start_us, offset_s: 0 };
    let id = SessionId::new((start_us / 1000) as u64, [number; 10]);
    // The conversation that is kept is the present one.
    let derived = Derived { version: DERIVED_VERSION, ..Derived::default() };
    let argv = vec!["claude".into()];
    let meta = Meta { id: Some(id), started, argv, derived: Some(derived), ..Meta::default() };
    let store = Store::open(&house.dir(), Access::Write).expect("a store");
    let json = meta.to_json();
    let new = NewSession { id: id.0, start_us, label: [0; 16], meta: json.as_bytes() };
    let mut writer = store.begin(&new).expect("a session");
    for (n, line) in screen.iter().enumerate() {
        writer.append(StreamId::STDOUT, n as u64 * 1_000_000, format!("{line}\r\n").as_bytes());
    }
    writer.append(StreamId::STDIN, 500_000, keys.as_bytes());
    for (n, body) in said.into_iter().enumerate() {
        let time = started.plus_us(n as i64 * 1_000_000);
        let event = Event {
            seq: n as u64 + 1,
            time: Some(time),
            turn: Some(n as u32 / 4 + 1),
            ..Event::new(Source::Transcript, body)
        };
        let mut line = String::new();
        event.write_line(&mut line);
        writer.append(StreamId::CONVERSATION, n as u64 * 1_000_000, line.as_bytes());
    }
    writer.end(Exit::Code(0), start_us + 10_000_000).expect("an end");
    id.to_string()
}

fn message(text: &str) -> Body {
    UserMessage { text: text.into(), ..UserMessage::default() }.into()
}

/// Two sessions: an agent's, and a plain command's after it.
fn library(house: &House) -> (String, String) {
    let args = intentloop::json::parse(br#"{"command":"grep -r limiter src"}"#).expect("JSON");
    let agent = add_agent(
        house,
        1,
        &[
            "> Fix the Rate limiter",
            "",
            "\x1b[32mI fixed\x1b[m it: Überlauf",
            "status: 日本語 shown",
        ],
        "Fix the Ratr\x7fe limiter\r",
        vec![
            message("Fix the Rate limiter\nin the shop"),
            Thought { text: "Where is the token bucket?".into(), ..Thought::default() }.into(),
            ToolCall { name: "Bash".into(), args, ..ToolCall::default() }.into(),
            ToolResult { text: "src/bucket.rs: Too many requests".into(), ..ToolResult::default() }
                .into(),
            AssistantMessage {
                text: "I fixed it: Überlauf".into(), ..AssistantMessage::default()
            }
            .into(),
        ],
    );
    let plain = add_agent(house, 2, &["cargo build", "error: no limiter here"], "", Vec::new());
    (agent, plain)
}

/// The places of all hits, newest session first, and the line of the last one.
fn hits(house: &House, words: &[&str]) -> Vec<(String, String)> {
    let output = run(&mut house.il(&[&["search", "--json"], words].concat()));
    if output.status.code() == Some(1) {
        assert_eq!(output.stderr, b"il search: nothing found\n");
        return Vec::new();
    }
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let hit = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let field = |name: &str| value[name].as_str().unwrap_or("-").to_owned();
        (field("in"), field("text"))
    };
    text.lines().map(hit).collect()
}

#[test]
fn words_are_found_wherever_they_were() {
    let house = House::new();
    library(&house);
    let check = |words: &[&str], expected: &[(&str, &str)]| {
        let got = hits(&house, words);
        let got: Vec<_> = got.iter().map(|(place, text)| (&place[..], &text[..])).collect();
        assert_eq!(got, expected, "{words:?}");
    };
    let call = ("tools", "grep -r limiter src");
    let prompt = ("conversation", "Fix the Rate limiter");
    let error = ("screen", "error: no limiter here");
    check(&["limiter"], &[error, prompt, call]);
    check(&["Rate"], &[prompt]);
    check(&["RATE"], &[]);
    check(&["limiter", "error"], &[error]);
    check(&["shop", "limiter"], &[prompt]);
    check(&["rate limiter"], &[prompt]);
    check(&["limiter rate"], &[]);
    check(&["limiter in"], &[("conversation", "Fix the Rate limiter in the shop")]);
    check(&["token"], &[("thoughts", "Where is the token bucket?")]);
    check(&["too many requests"], &[("tools", "src/bucket.rs: Too many requests")]);
    check(&["überlauf"], &[("conversation", "I fixed it: Überlauf")]);
    check(&["日本語"], &[("screen", "status: 日本語 shown")]);
    check(&["rate", "--in", "screen"], &[("screen", "> Fix the Rate limiter")]);
    check(&["rate", "--in", "keys"], &[("keys", "Fix the Rate limiter")]);
    check(&["rate", "--in", "keys,tools"], &[("keys", "Fix the Rate limiter")]);
    check(&["rate", "--in", "thoughts"], &[]);
    check(&["limiter", "--search", "claude", "--before", "2026-05-30T13:13:33Z"], &[prompt, call]);
    check(&["limiter", "--status", "failed"], &[]);
}

#[test]
fn a_hit_says_which_session_when_and_which_turn() {
    let house = House::new();
    let (agent, _) = library(&house);
    let json = stdout(&mut house.il(&["search", "--json", "--context", "1", "shop"]));
    let got: Value = serde_json::from_str(&json).expect("one object");
    let expected = serde_json::json!({
        "v": 1,
        "session": agent,
        "short_id": agent[..13],
        "time": "2026-05-30T13:13:33.000+00:00",
        "turn": 1,
        "in": "conversation",
        "kind": "user_message",
        "text": "in the shop",
        "matches": [{"start": 7, "end": 11}],
        "before": ["Fix the Rate limiter"],
    });
    assert_eq!(got, expected);

    let rows = stdout(house.il(&["search", "überlauf"]).env("TZ", "Europe/Berlin"));
    let short = &agent[..13];
    assert_eq!(
        rows,
        format!(
            "ID\tTIME\tTURN\tWHERE\tTEXT\n\
             {short}\t2026-05-30 15:13:37\t2\tconversation\tI fixed it: Überlauf\n"
        )
    );
}

#[test]
fn a_password_is_not_found_and_what_was_typed_is() {
    let house = House::new();
    let dir = house.dir();
    let mut command = house.il(&["run", "-q", "sh", "-c"]);
    command.arg("printf 'name: '; read name; stty -echo; printf 'word: '; read word; printf done");
    let mut term = Term::spawn(command);
    term.expect("name: ");
    term.send(b"plain-needle\r");
    term.expect("word: ");
    term.send(b"secret-needle\r");
    term.expect("done");
    term.finish();
    assert!(dir.exists());
    let texts: Vec<_> = hits(&house, &["needle"]).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["plain-needle", "name: plain-needle"], "said and shown, not typed again");
    assert_eq!(hits(&house, &["needle", "--in", "keys"]), [("keys".into(), "plain-needle".into())]);
}

#[test]
fn a_person_sees_the_sessions_with_their_hits_and_no_control_character() {
    let house = House::new();
    let (agent, _) = library(&house);
    add_agent(&house, 3, &[], "", vec![message("evil \x1b]0;title\x07 limiter\x1b[2J")]);
    let seen = |environment: Option<&str>, cols| {
        let mut command = house.il(&["search", "limiter"]);
        environment.map(|name| command.env(name, "1"));
        let term =
            Term::spawn_with(command, &Setup { winsize: winsize(cols, 24), ..Setup::default() });
        String::from_utf8(term.finish().screen).expect("UTF-8")
    };
    let screen = seen(None, 100);
    assert!(screen.contains("\x1b[1;31mlimiter\x1b[m"), "{screen}");
    assert!(!screen.contains("\x1b]0") && !screen.contains("\x1b[2J"), "{screen}");
    for cols in [20, 40, 100] {
        let plain = seen(Some("NO_COLOR"), cols);
        assert!(!plain.contains('\x1b'), "{plain}");
        assert!(plain.contains(&agent[..13]) && plain.contains("limiter"), "{plain}");
    }
}

#[test]
fn wrong_words_are_refused() {
    let house = House::new();
    library(&house);
    for (words, expected) in [
        (&["search"][..], "il search: missing WORD\n"),
        (&["search", ""], "il search: nothing to look for\n"),
        (&["search", "x", "--in", "dreams"], "il search: --in 'dreams': not of conversation,"),
        (
            &["search", "x", "--context", "101"],
            "il search: --context '101': not a number up to 100",
        ),
    ] {
        let (code, _, err) = said(&run(&mut house.il(words)));
        assert_eq!(code, Some(2), "{words:?}");
        assert!(err.starts_with(expected), "{err}");
    }
    let many = (0..200).map(|n| format!("echo needle {n};")).collect::<String>();
    house.record(&["-q"], &many);
    let rows = succeed(&mut house.il(&["search", "needle", "--in", "screen"])).stdout;
    assert_eq!(rows.iter().filter(|b| **b == b'\n').count(), 201, "a pipe gets all of them");
}

/// Sessions whose text is kept, with very many hits, with few and with none; in the first of them
/// more than may wait for its turn.
#[test]
fn on_many_threads_the_hits_come_in_the_order_of_the_sessions() {
    let house = House::new();
    let store = Store::open(&house.dir(), Access::Write).expect("a store");
    for number in 0..24u8 {
        let lines = [0, 40_000, 0, 3, 70_000, 1][usize::from(number) % 6];
        let mut text = "nothing here\n".repeat(2000);
        for line in 0..lines {
            text.push_str(&format!("{line} of session {number} has the needle\n"));
        }
        let start_us = START_US + i64::from(number) * 60_000_000;
        let id = SessionId::new((start_us / 1000) as u64, [number; 10]).0;
        let new = NewSession { id, start_us, label: [0; 16], meta: b"{}" };
        let mut writer = store.begin(&new).expect("a session");
        for piece in text.as_bytes().chunks(16 << 10) {
            writer.append(StreamId::TEXT, 1000, piece);
        }
        let len = text.len();
        let meta =
            format!("{{\"v\":1,\"argv\":[\"x\"],\"text\":{{\"v\":1,\"off\":0,\"len\":{len}}}}}");
        writer.append(StreamId::META, 1000, meta.as_bytes());
        writer.end(Exit::Code(0), start_us + 10_000_000).expect("an end");
    }
    let library = Library::open(&house.dir()).expect("a library");
    let sessions: Vec<Session> = library.sessions().expect("sessions").collect();
    let query = Query::new(&["needle".into()], &[], 0).expect("a word");
    let hits = |threads, most: usize| {
        let mut hits = Vec::new();
        library.search_all(&sessions, &query, threads, &mut |told| {
            match told {
                Told::Hit(session, hit) => hits.push(Some((session.id, hit.line))),
                Told::Done => hits.push(None),
            }
            hits.len() < most
        });
        hits
    };
    let one = hits(1, usize::MAX);
    assert_eq!(one.len(), 24 + 4 * (40_000 + 3 + 70_000 + 1));
    for threads in [2, 4] {
        assert!(hits(threads, usize::MAX) == one, "{threads} threads");
        for most in [1, 70_000, 70_003] {
            assert!(hits(threads, most) == one[..most], "{most} hits on {threads} threads");
        }
    }
}

/// Of text that is kept a damaged part is not found and stands beside nothing that is found,
/// wherever in it the damage is; all else is found.
#[test]
fn damaged_text_is_never_shown() {
    const RECORDS: usize = 40;
    let house = House::new();
    let store = Store::open(&house.dir(), Access::Write).expect("a store");
    let id = SessionId::new((START_US / 1000) as u64, [7; 10]);
    let new = NewSession { id: id.0, start_us: START_US, label: [0; 16], meta: b"{}" };
    let mut writer = store.begin(&new).expect("a session");
    let mut len = 0;
    for number in 0..RECORDS {
        // Some are handed over unchecked, some are too short for that.
        let line = format!("record-{number} filler\n");
        let lines = line.repeat(9_000 / line.len() * (1 + number % 3) / 2);
        let text = format!("record-{number} needle\n{lines}record-{number} the end\n");
        writer.append(StreamId::TEXT, number as u64, text.as_bytes());
        len += text.len();
    }
    let meta = format!(r#"{{"v":1,"argv":["make"],"text":{{"v":1,"off":0,"len":{len}}}}}"#);
    writer.append(StreamId::META, 1, meta.as_bytes());
    writer.end(Exit::Code(0), START_US + 1_000_000).expect("an end");
    drop(store);

    let path = house.dir().join(intentloop::store::FILE_NAME);
    let sound = std::fs::read(&path).expect("the store");
    let found = || stdout(&mut house.il(&["search", "--context", "3", "needle"]));
    assert_eq!(found().matches(" needle").count(), RECORDS);
    // Behind the last one, on its page, it is noted that there is text.
    for number in [0, 7, 8, 9, RECORDS - 3] {
        let word = format!("record-{number} ");
        let mut bytes = sound.clone();
        for at in 0..bytes.len() - word.len() {
            if sound[at..].starts_with(word.as_bytes()) {
                // The lines stay as they are, all but one letter in each.
                bytes[at + word.len()] ^= 1;
            }
        }
        assert_ne!(bytes, sound);
        std::fs::write(&path, &bytes).expect("a damaged store");
        let found = found();
        assert!(!found.contains(&word), "record {number}: {found}");
        let hits = found.matches(" needle").count();
        // A page may be lost with its neighbours' ends on it.
        assert!((RECORDS - 4..RECORDS).contains(&hits), "record {number}: {hits} hits");
    }
}
