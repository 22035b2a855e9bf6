//! The flags that say which sessions are meant, with the real program on sessions made for it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use intentloop::session::{Ending, Filter, Intent, Meta, Repository, SessionId, Status};
use intentloop::store::{Access, NewSession, Store};
use intentloop::time::WallTime;
use intentloop::{Library, Session};

use crate::house::House;
use crate::plain::{program, run, stdout};
use crate::store::TempDir;

/// Adds a session that begins at this time and ends with this code; its id.
pub fn add(house: &House, unix_us: i64, code: u8, change: impl FnOnce(&mut Meta)) -> String {
    let count = fs::metadata(house.file()).map_or(0, |meta| meta.len());
    let mut random = [0; 10];
    random[2..].copy_from_slice(&count.to_be_bytes());
    let id = SessionId::new((unix_us / 1000) as u64, random);
    let started = WallTime { unix_us, offset_s: 0 };
    let ended = started.plus_us(1_000_000);
    let ending = Ending { ended, exit_code: Some(code), ..Ending::default() };
    let mut meta = Meta {
        id: Some(id),
        started,
        argv: vec!["true".into()],
        ending: Some(ending),
        ..Meta::default()
    };
    change(&mut meta);
    let store = Store::open(&house.dir(), Access::Write).expect("a store");
    let json = meta.to_json();
    let new = NewSession { id: id.0, start_us: unix_us, label: [0; 16], meta: json.as_bytes() };
    // Without an end nothing waits for the disk; the notes tell how it ended.
    drop(store.begin(&new).expect("a session"));
    id.to_string()
}

/// What an agent records while it works is a part of that.
#[test]
fn sessions_inside_an_agents_are_folded() {
    let house = House::new();
    let claude = |meta: &mut Meta| meta.argv = vec!["claude".into()];
    let shell = |meta: &mut Meta| meta.argv = vec!["bash".into()];
    let agent = add(&house, 1_000_000_000, 0, claude);
    let inside = add(&house, 2_000_000_000, 1, |meta| meta.parent = Some(agent.clone()));
    let shell = add(&house, 3_000_000_000, 0, shell);
    let in_shell = add(&house, 4_000_000_000, 0, |meta| meta.parent = Some(shell.clone()));
    let orphan = add(&house, 5_000_000_000, 0, |meta| meta.parent = Some("0".repeat(32)));
    let list = |flags: &[&str]| {
        let text = stdout(house.il(&["list"]).args(flags));
        let mut ids: Vec<String> = text.lines().skip(1).map(|line| line[..13].to_owned()).collect();
        ids.reverse();
        ids
    };
    let short = |ids: &[&String]| ids.iter().map(|id| id[..13].to_owned()).collect::<Vec<_>>();
    assert_eq!(list(&[]), short(&[&agent, &shell, &in_shell, &orphan]));
    assert_eq!(list(&["--all"]), short(&[&agent, &inside, &shell, &in_shell, &orphan]));
    // A session whose agent's is not listed is.
    assert_eq!(list(&["--status", "failed"]), short(&[&inside]));
    assert_eq!(stdout(&mut house.il(&["list", "--json"])).lines().count(), 5);
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

/// The ids that `il list --all` prints with these flags, oldest first.
fn listed(command: &mut Command) -> Vec<String> {
    let output = run(command);
    match output.status.code() {
        Some(0) => {
            let text = String::from_utf8(output.stdout).expect("UTF-8");
            let id = |line: &str| line.split('"').nth(5).expect("an id").to_owned();
            let mut ids: Vec<String> = text.lines().map(id).collect();
            ids.reverse();
            ids
        }
        Some(1) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.starts_with("il list: no session is like that\nhint: "), "{said}");
            Vec::new()
        }
        _ => panic!("{output:?}"),
    }
}

#[test]
fn each_filter_lists_the_sessions_it_means() {
    let house = House::new();
    let repository = |root: &str| Some(Repository { root: root.into(), ..Repository::default() });
    let ids = [
        add(&house, 1, 0, |m| {
            m.argv = words("claude -p hello --model opus-4");
            m.repository = repository("/r/shop");
            m.cwd = Some("/r/shop/src".into());
        }),
        add(&house, 2, 3, |m| {
            m.argv = words("npx @openai/codex src/lib.rs ./a/../README.md");
            m.tags = vec!["x".into(), "y".into()];
            m.cwd = Some("/r/shop".into());
        }),
        add(&house, 3, 0, |m| {
            m.argv = words("sh -c Hello");
            m.intent = Some(Intent { id: "auth-1".into(), title: None });
            m.tags = vec!["y".into()];
            m.repository = repository("/elsewhere/shop");
        }),
    ];
    let check = |flags: &str, expected: &[usize]| {
        let mut command = house.il(&["list", "--all", "--json"]);
        command.args(flags.split(' ').filter(|f| !f.is_empty()));
        let expected: Vec<&String> = expected.iter().map(|n| &ids[*n]).collect();
        assert_eq!(listed(&mut command).iter().collect::<Vec<_>>(), expected, "il list {flags}");
    };
    check("", &[0, 1, 2]);
    check("--status succeeded", &[0, 2]);
    check("--status success", &[0, 2]);
    check("--outcome failed", &[1]);
    check("--outcome success --status failed", &[0, 1, 2]);
    check("--status lost", &[]);
    check("--agent claude", &[0]);
    check("--agent codex", &[1]);
    check("--agent gemini", &[]);
    check("--model opus", &[0]);
    check("--project shop", &[0, 2]);
    check("--project sho", &[]);
    check("--tag y", &[1, 2]);
    check("--tag y --tag x", &[1]);
    check("--intent auth-1", &[2]);
    check("--search hello", &[0, 2]);
    check("--search Hello", &[2]);
    check("--file /r/shop/src/lib.rs", &[1]);
    check("--file /r/shop/README.md", &[1]);
    check("--file /r/shop/src", &[1]);
    check("--file /r/shop/missing", &[]);
    check("--tag y --project shop", &[2]);
    assert_eq!(house.column(&["list", "--all"], "AGENT"), ["-", "codex", "claude"]);
}

#[test]
fn here_is_the_repository_or_else_the_directory() {
    let house = House::new();
    // The tests' own scratch directories are in a repository.
    let elsewhere = TempDir::new("here");
    fs::create_dir_all(elsewhere.path()).expect("a directory");
    let work = elsewhere.path().canonicalize().expect("its path");
    let (inside, outside) = (work.join("repo/src/deep"), work.join("plain"));
    for dir in [&inside, &outside, &work.join("repo/.git")] {
        fs::create_dir_all(dir).expect("a directory");
    }
    fs::write(work.join("repo/.git/HEAD"), "ref: refs/heads/main\n").expect("HEAD");
    let at = |dir: &Path, words: &[&str]| {
        let mut command = house.il(words);
        command.current_dir(dir);
        command
    };
    for dir in [&inside, &work.join("repo"), &outside] {
        run(&mut at(dir, &["run", "true"]));
    }
    let ids = house.ids();
    let list =
        |dir: &Path, flags: &[&str]| listed(&mut at(dir, &[&["list", "--json"], flags].concat()));
    assert_eq!(list(&work.join("repo/src"), &["--here"]), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(list(&outside, &["--here"]), [ids[0].clone()]);
    assert_eq!(list(&work, &["--here"]), [""; 0]);
    // A path is one of this directory's.
    run(&mut at(&inside, &["run", "echo", "../x.rs"]));
    assert_eq!(list(&work.join("repo"), &["--file", "src/x.rs"]), [house.newest()]);
    assert_eq!(list(&work, &["--file", "src/x.rs"]), [""; 0]);
}

/// Moments around the ends of days on which clocks change, at midnight and elsewhere.
const ZONES: [(&str, i64); 7] = [
    ("Europe/Berlin", 1_774_738_800),
    ("Europe/Berlin", 1_792_879_200),
    ("America/New_York", 1_772_953_200),
    ("America/New_York", 1_793_512_800),
    ("America/Sao_Paulo", 1_541_300_400),
    ("America/Havana", 1_541_307_600),
    ("XXX3YYY2,M11.1.0/0,M2.3.0/0", 1_793_502_000),
];

/// What day a moment belongs to in a zone, date(1) knows.
#[test]
fn days_are_local_days_also_when_clocks_change() {
    for (zone, around_s) in ZONES {
        let house = House::new();
        let moments_us: Vec<i64> = (-26..=26)
            .map(|hour| (around_s + hour * 3600) * 1_000_000)
            .flat_map(|us| [us - 1, us])
            .collect();
        let at: String =
            moments_us.iter().map(|us| format!("@{}\n", us.div_euclid(1_000_000))).collect();
        let path = house.dir().with_extension("moments");
        fs::write(&path, at).expect("the moments");
        let said = stdout(program("date").env("TZ", zone).arg("+%F").arg("-f").arg(&path));
        let ids = moments_us.iter().map(|us| add(&house, *us, 0, |_| {}));
        let sessions: Vec<(String, String)> = said.lines().map(str::to_owned).zip(ids).collect();
        assert_eq!(sessions.len(), moments_us.len());
        let mut days: Vec<&String> = sessions.iter().map(|(day, _)| day).collect();
        days.dedup();
        assert!(days.len() >= 3, "{zone}: {days:?}");
        for day in days {
            for (flag, fits) in [
                ("--after", (|other, day| other >= day) as fn(&String, &String) -> bool),
                ("--before", |other, day| other <= day),
            ] {
                let expected: Vec<&String> =
                    sessions.iter().filter(|(d, _)| fits(d, day)).map(|(_, id)| id).collect();
                let mut command = house.il(&["list", "--all", "--json", flag, day]);
                let found = listed(command.env("TZ", zone));
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{zone} {flag} {day}");
            }
        }
    }
}

#[test]
fn times_include_both_ends_to_the_unit_they_are_given_in() {
    let house = House::new();
    let second = 1_780_000_000_000_000;
    let ids: Vec<String> =
        [-1, 0, 123_456, 999_999, 1_000_000].map(|us| add(&house, second + us, 0, |_| {})).into();
    let check = |flags: &[&str], expected: &[String]| {
        let mut command = house.il(&[&["list", "--all", "--json"], flags].concat());
        assert_eq!(listed(&mut command), expected, "{flags:?}");
    };
    // 2026-05-28T20:26:40Z, says date(1).
    let at = stdout(program("date").args(["-u", "-d", "@1780000000", "+%FT%T"]));
    let at = at.trim_end();
    let utc = format!("{at}Z");
    check(&["--after", &utc], &ids[1..]);
    check(&["--before", &utc], &ids[..4]);
    check(&["--after", &utc, "--before", &utc], &ids[1..4]);
    check(&["--before", &format!("{at}.123Z")], &ids[..3]);
    check(&["--after", &format!("{at}.123456Z")], &ids[2..]);
    check(&["--before", &format!("{at}.123455Z")], &ids[..2]);
    check(&["--after", &format!("{at}+00:01"), "--before", &utc], &ids[..4]);
}

#[test]
fn words_that_are_no_filter_are_usage_errors() {
    let house = House::new();
    for (flag, value, why) in [
        ("--status", "done", "not one of succeeded, failed, "),
        ("--after", "2026-02-30", "not a day (2026-05-30) or a time ("),
        ("--before", "yesterday", "not a day (2026-05-30) or a time ("),
    ] {
        let output = run(&mut house.il(&["list", flag, value]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2));
        assert!(said.starts_with(&format!("il list: {flag} '{value}': {why}")), "{said}");
    }
}

/// What a list shows of a session, as text.
fn shown(session: &Session) -> String {
    let meta = &session.meta;
    let derived = meta.derived.as_ref().map(|d| (d.prompt.clone(), d.model.clone(), d.counts));
    format!(
        "{} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {} {derived:?}",
        session.id,
        session.status.name(),
        session.duration_us(0),
        session.agent(),
        session.project(),
        meta.argv,
        meta.started,
        meta.name,
        meta.ending.as_ref().map(|ending| (ending.exit_code, ending.signal.clone())),
        meta.pinned,
    )
}

/// Lists by every filter are what the sessions themselves say, each of them asked.
fn check_lists(house: &House, what: &str) {
    let library = Library::open(&house.dir()).expect("a library");
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        Filter::default(),
        Filter { statuses: vec![Status::Lost], ..Filter::default() },
        Filter { statuses: vec![Status::Failed, Status::Interrupted], ..Filter::default() },
        Filter { after_us: Some(4), before_us: Some(9), ..Filter::default() },
        Filter { project: text("shop"), ..Filter::default() },
        Filter { place: Some("/r/shop".into()), ..Filter::default() },
        Filter { agent: text("Claude"), ..Filter::default() },
        Filter { model: text("opus"), ..Filter::default() },
        Filter { intent: text("auth-1"), ..Filter::default() },
        Filter { tags: vec!["x".into()], ..Filter::default() },
        Filter { tags: vec!["x".into(), "y".into()], ..Filter::default() },
        Filter { file: Some("/r/shop/src".into()), ..Filter::default() },
        Filter { search: text("hello"), ..Filter::default() },
        Filter { search: text("Hello"), ..Filter::default() },
        Filter { search: text("nnn"), ..Filter::default() },
        Filter { model: text("PUS"), ..Filter::default() },
        Filter { model: text("sonnet"), ..Filter::default() },
        Filter { model: text(""), file: Some("/r/shop".into()), ..Filter::default() },
    ];
    for filter in &filters {
        let asked = library.sessions().expect("sessions").filter(|s| s.matches(filter));
        let asked: Vec<String> = asked.map(|session| shown(&session)).collect();
        let listed = library.listed(filter, true).expect("a list");
        let listed: Vec<String> = listed.map(|session| shown(&session)).collect();
        assert_eq!(listed, asked, "{what}: {filter:?}");
        let candidates = library.candidates(filter).expect("sessions");
        let meant = candidates.filter(|s| s.matches(filter));
        let meant: Vec<String> = meant.map(|session| shown(&session)).collect();
        assert_eq!(meant, asked, "{what}: {filter:?}");
    }
    for session in library.sessions().expect("sessions") {
        let id = session.id.to_string();
        for part in [&id[..], &id[..35], &id[19..]] {
            let found = library.find(Some(part)).map(|found| found.id);
            assert_eq!(found.ok(), Some(session.id), "{what}: {part}");
        }
    }
}

#[test]
fn the_index_tells_what_the_sessions_say() {
    let house = House::new();
    let repository = |root: &str| Some(Repository { root: root.into(), ..Repository::default() });
    let mut ids = Vec::new();
    for n in 1..=12 {
        ids.push(add(&house, n, (n % 3) as u8, |m| {
            m.argv = match n % 4 {
                0 => words("claude -p hello --model opus-4"),
                1 => words("make src/main.rs"),
                _ => vec!["sh".into(), "-c".into(), "exit \u{1b}[3m".into()],
            };
            m.cwd = Some("/r/shop/src".into());
            m.repository = repository(if n % 2 == 0 { "/r/shop" } else { "/r/other" });
            m.tags =
                [vec![], vec!["x".into()], vec!["x".into(), "y".into()]][n as usize % 3].clone();
            m.intent =
                (n == 5).then(|| Intent { id: "auth-1".into(), title: Some("Login".into()) });
            m.name = (n == 6).then(|| "n".repeat(5000));
        }));
    }
    let index = || {
        let store = Store::open(&house.dir(), Access::Write).expect("a store");
        assert!(Library::on(store).index().expect("an index"));
    };
    let il = |args: &[&str]| drop(stdout(&mut house.il(args)));
    check_lists(&house, "without one");
    index();
    check_lists(&house, "with one");
    il(&["pin", &ids[3]]);
    il(&["mark", "--session", &ids[4], "here"]);
    check_lists(&house, "a session was added to");
    il(&["rm", &ids[0]]);
    add(&house, 5, 0, |m| m.tags = vec!["x".into()]);
    add(&house, 100, 0, |m| m.argv = words("codex"));
    check_lists(&house, "one has gone, an old and a new one came");
    index();
    check_lists(&house, "written anew");
    let store = Store::open(&house.dir(), Access::Write).expect("a store");
    store.compact(&mut |_| ()).expect("compacted");
    check_lists(&house, "compacted");
    index();
    check_lists(&house, "and written anew");
    assert_eq!(store.verify(&mut |_| ()).expect("a report").problem_count, 0);
}
