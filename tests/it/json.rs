//! What `--json` prints, held to the page that describes it: `man/il-json.5` names each member, its
//! type, and whether it may be absent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use intentloop::Event;
use intentloop::cli;
use intentloop::cmd::COMMANDS;
use intentloop::event::{Body, Counts, ENVELOPE, Friction};
use intentloop::session::{
    DERIVED_VERSION, Derived, Ending, Imported, ImportedFile, Intent, Meta, NativeFile, Repository,
    SessionId, Status, WindowSize,
};
use intentloop::store::{Access, Exit, NewSession, Store};
use intentloop::time::WallTime;
use serde_json::{Value, json};

use crate::house::House;
use crate::plain::{root, stdout, succeed};
use crate::tail::json_lines;

/// The section of the members that all events have.
const ENVELOPE_SECTION: &str = "Every event";

/// What the page says of a member.
#[derive(Clone, Debug)]
struct Member {
    /// The first word of its type.
    kind: String,
    /// Of an array, what it is of.
    items: String,
    optional: bool,
    /// The words it may be, where it is one of them.
    words: BTreeSet<String>,
    /// The section and the name it stands under.
    origin: (String, String),
}

/// The members of an object by path, those of objects in it included.
type Members = BTreeMap<String, Member>;

/// The page: its sections by name.
struct Page(BTreeMap<String, Members>);

impl Page {
    fn read() -> Page {
        let path = root().join("man/il-json.5");
        let text = fs::read_to_string(&path).expect("the page");
        let mut sections: BTreeMap<String, Members> = BTreeMap::new();
        // The members that are those of another section.
        let mut alike: Vec<(String, String, String)> = Vec::new();
        let (mut section, mut member) = (String::new(), None);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(".Ss ") {
                (section, member) = (name.to_owned(), None);
                assert!(sections.insert(section.clone(), Members::new()).is_none(), "{name} twice");
            } else if let Some(item) = line.strip_prefix(".It Va ") {
                let (name, kind) = item.split_once(" Pq ").expect("a type");
                let (kind, optional) = match kind.strip_suffix(", optional") {
                    Some(kind) => (kind, true),
                    None => (kind, false),
                };
                let (what, like) = kind.split_once(" as in ").unwrap_or((kind, ""));
                let (kind, items) = what.split_once(" of ").unwrap_or((what, ""));
                if !like.is_empty() {
                    let inner = if kind == "array" { format!("{name}[]") } else { name.to_owned() };
                    alike.push((section.clone(), inner, like.to_owned()));
                }
                let known = Member {
                    kind: kind.split(',').next().unwrap_or_default().to_owned(),
                    items: items.to_owned(),
                    optional,
                    words: BTreeSet::new(),
                    origin: (section.clone(), name.to_owned()),
                };
                let members = sections.get_mut(&section).expect("a section");
                assert!(
                    members.insert(name.to_owned(), known).is_none(),
                    "{section}: {name} twice"
                );
                member = Some(name.to_owned());
            } else if let Some(words) = line.strip_prefix(".Cm ") {
                let Some(name) = &member else { continue };
                let member = sections.get_mut(&section).and_then(|members| members.get_mut(name));
                let words = words.split(' ').filter(|word| word.len() > 1).map(str::to_owned);
                member.expect("a member").words.extend(words);
            } else if line.starts_with(".El") || line.starts_with(".Sh") {
                member = None;
            }
        }
        for (section, at, like) in alike {
            let more = sections.get(&like).unwrap_or_else(|| panic!("no section {like}")).clone();
            let members = sections.get_mut(&section).expect("a section");
            members.extend(more.into_iter().map(|(name, member)| (format!("{at}.{name}"), member)));
        }
        Page(sections)
    }

    fn section(&self, name: &str) -> &Members {
        self.0.get(name).unwrap_or_else(|| panic!("il-json.5 has no section {name}"))
    }

    /// The members of an event of this kind.
    fn event(&self, kind: &str) -> Members {
        let mut members = self.section(ENVELOPE_SECTION).clone();
        members.extend(self.section(kind).clone());
        members
    }
}

/// What the members that were seen stand under.
type Seen = BTreeSet<(String, String)>;

/// Holds a value at this path to what the page says of it.
fn hold(members: &Members, at: &str, value: &Value, seen: &mut Seen, context: &str) {
    if let Value::Array(items) = value {
        return items
            .iter()
            .for_each(|item| hold(members, &format!("{at}[]"), item, seen, context));
    }
    let Value::Object(object) = value else { return };
    let path = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    for (name, value) in object {
        let (path, any) = (path(name), path("*"));
        let path = if members.contains_key(&path) { path } else { any };
        let member = members.get(&path);
        let member = member.unwrap_or_else(|| panic!("{context}: {at}: {name} is not documented"));
        seen.insert(member.origin.clone());
        assert!(fits(member, value), "{context}: {path}: {value} is no {}", member.kind);
        if member.kind != "any" {
            hold(members, &path, value, seen, context);
        }
    }
    for (path, member) in members {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        if parent == at && name != "*" && !member.optional {
            assert!(object.contains_key(name), "{context}: {at}: {name} is missing: {value}");
        }
    }
}

fn fits(member: &Member, value: &Value) -> bool {
    let is_integer = |value: &Value| value.is_i64() || value.is_u64();
    match member.kind.as_str() {
        "any" => !value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => is_integer(value),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        "time" => value.as_str().is_some_and(|text| WallTime::parse_rfc3339(text).is_some()),
        "word" => value.as_str().is_some_and(|word| {
            member.words.is_empty() || word.is_empty() || member.words.contains(word)
        }),
        "array" => value.as_array().is_some_and(|items| {
            items.iter().all(|item| match member.items.as_str() {
                "strings" => item.is_string(),
                "integers" => is_integer(item),
                "objects" => item.is_object(),
                other => panic!("{other}: no type of the page"),
            })
        }),
        other => panic!("{other}: no type of the page"),
    }
}

/// Adds a session with these notes, as text.
fn add(house: &House, number: u8, meta: &Meta, more: &str) {
    let start_us = meta.started.unix_us;
    let id = SessionId::new((start_us / 1000) as u64, [number; 10]);
    let meta = Meta { id: Some(id), ..meta.clone() };
    let json = meta.to_json().replacen('{', &format!("{{{more}"), 1);
    let store = Store::open(&house.dir(), Access::Write).expect("a store");
    let new = NewSession { id: id.0, start_us, label: [0; 16], meta: json.as_bytes() };
    let writer = store.begin(&new).expect("a session");
    // Of what il has not seen itself, the notes count only behind an end.
    if meta.imported.is_some() {
        writer.end(Exit::Unknown, start_us).expect("an end");
    }
}

/// A session of which everything is known that can be.
fn full() -> Meta {
    use std::os::unix::ffi::OsStringExt;
    let no_text = |text: &[u8]| std::ffi::OsString::from_vec(text.to_vec());
    let started = WallTime { unix_us: 1_780_000_000_123_456, offset_s: 7200 };
    Meta {
        argv: vec!["claude".into(), no_text(b"x\xff")],
        cwd: Some(no_text(b"/r/\xe9")),
        started,
        name: Some("a name".into()),
        tags: vec!["one".into()],
        intent: Some(Intent { id: "i".into(), title: Some("t".into()) }),
        parent: Some("p".into()),
        resumed_from: Some("r".into()),
        size: Some(WindowSize { cols: 80, rows: 24 }),
        term: Some("xterm".into()),
        host: Some("h".into()),
        user: Some("u".into()),
        il_version: Some("0".into()),
        repository: Some(Repository {
            root: no_text(b"/r/\xe9"),
            branch: Some("main".into()),
            head: Some("0".repeat(40)),
        }),
        pinned: true,
        ending: Some(Ending {
            ended: started.plus_us(5),
            exit_code: Some(1),
            signal: Some("INT".into()),
            not_executed: Some("No such file or directory".into()),
            terminal_closed: true,
            ..Ending::default()
        }),
        deriver: Some(7),
        derived: Some(Derived {
            version: DERIVED_VERSION,
            source: "transcript".into(),
            agent: Some("claude".into()),
            agent_version: Some("2".into()),
            native_session: Some("n".into()),
            model: Some("m".into()),
            title: Some("t".into()),
            prompt: Some("Do".into()),
            reasons: vec!["same directory".into()],
            rivals: vec!["other".into()],
            files: vec![NativeFile {
                stream: "native/0".into(),
                path: "/a".into(),
                start_len: Some(0),
            }],
            cost_microusd: Some(5),
            counts: Counts { turns: 1, ..Counts::default() },
            friction: Some(Friction { first_try: Some(true), ..Friction::default() }),
            ..Derived::default()
        }),
        ..Meta::default()
    }
}

fn imported() -> Meta {
    let imported = Imported {
        format: "codeloops".into(),
        from: "/logs/x".into(),
        status: Some(Status::MaxIterationsReached),
        agent: Some("a".into()),
        native_id: Some("n".into()),
        prompt: Some("Do".into()),
        files: vec![ImportedFile {
            path: "x.jsonl".into(),
            stream: "native/0".into(),
            ..ImportedFile::default()
        }],
    };
    let started = WallTime { unix_us: 1_780_000_001_000_000, offset_s: 0 };
    let ending = Some(Ending { ended: started, exit_code: Some(0), ..Ending::default() });
    Meta { started, imported: Some(imported), ending, ..Meta::default() }
}

const CHANGED: &str = r#""changes":{"files_changed":1,"insertions":1,"deletions":0,
"files":[{"path":"f","op":"create","plus":1,"minus":0}],"commits":[{"id":"0","subject":"s"}],
"left_out":["big"],"cut":true,"told":true},"#;

/// Prints what has colours, a link, a title and a secret, and a word that the command line is without,
/// for what was said there is not told of the screen again.
const SCRIPT: &str = r"printf '\033]2;title\033\\\033[31mred\033[m \033]8;;http://x/\033\\link\033]8;;\033\\\n'
sleep 0.05; echo one nee''dle; sleep 0.05; echo token ghp_a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2; exit 1";

/// Every member that a command prints is on the page, every member that the page has under it and
/// does not call optional is printed, and every other one is printed at least once.
#[test]
fn each_object_is_as_the_page_says() {
    let page = Page::read();
    let house = House::new();
    let full = full();
    add(&house, 1, &full, CHANGED);
    add(&house, 2, &imported(), "");
    let lost = Meta { started: full.started, argv: vec!["true".into()], ..Meta::default() };
    add(&house, 3, &lost, r#""changes":{"unknown":"git failed"},"#);
    house.record(&[], SCRIPT);
    house.record(&[], "true");
    house.record(&[], "kill -INT $$");
    let _running = house.running();
    let ids = house.ids();
    let shell = &ids[3];
    let mut shows: Vec<_> = ids.iter().map(|id| vec!["show", "--json", id]).collect();
    shows.push(vec!["last", "--json"]);

    for (section, words) in [
        ("il list", vec![vec!["list", "--all", "--json"]]),
        ("il show", shows),
        ("il show --at", vec![vec!["show", "--json", "--at", "+10s", shell]]),
        (
            "il search",
            vec![
                vec!["search", "--json", "--context", "1", "needle"],
                vec!["search", "--json", "INT"],
            ],
        ),
        ("il why", vec![vec!["why", "--json", "/"]]),
        ("il stats", vec![vec!["stats", "--json"]]),
        ("il frames", vec![vec!["frames", "--json", shell]]),
        ("il du", vec![vec!["du", "--json"]]),
        ("il scan", vec![vec!["scan", "--json", shell]]),
    ] {
        let members = page.section(section);
        let mut seen = Seen::new();
        for words in words {
            let said = json_lines(&stdout(&mut house.il(&words)));
            assert!(!said.is_empty(), "{words:?}: nothing");
            for value in said {
                assert_eq!(value["v"], 1, "{words:?}");
                hold(members, "", &value, &mut seen, &format!("il {}", words.join(" ")));
            }
        }
        let unseen: Vec<_> = members
            .values()
            .map(|member| &member.origin)
            .filter(|origin| !seen.contains(*origin) && !NOT_MADE.contains(&origin.1.as_str()))
            .collect();
        assert!(unseen.is_empty(), "{section}: documented, never printed: {unseen:?}");
    }
}

/// Members that need an agent's conversation, which another test has.
const NOT_MADE: [&str; 2] = ["turn", "kind"];

/// The events of real agents' sessions, of imported ones, and of the recorder.
#[test]
fn each_event_is_as_the_page_says() {
    let page = Page::read();
    let mut kinds = BTreeSet::new();
    let mut check = |house: &House, words: &[&str]| {
        for value in json_lines(&stdout(&mut house.il(words))) {
            assert_eq!(value["v"], 1, "{words:?}");
            let kind = value["kind"].as_str().expect("a kind").to_owned();
            hold(&page.event(&kind), "", &value, &mut Seen::new(), &format!("{words:?}: {kind}"));
            kinds.insert(kind);
        }
    };
    let recorded = root().join("tests/agents/recorded");
    for agent in ["codex", "gemini", "qwen"] {
        let house = unpacked(&recorded.join(format!("{agent}.il.gz")));
        succeed(&mut house.il(&["rederive"]));
        check(&house, &["tail", "--json", "@1"]);
        check(&house, &["approvals", "--json", "@1"]);
        let members = page.section("il search");
        let mut seen = Seen::new();
        for value in json_lines(&stdout(&mut house.il(&["search", "--json", "e"]))) {
            hold(members, "", &value, &mut seen, "il search");
        }
        for name in NOT_MADE {
            assert!(seen.iter().any(|(_, seen)| seen == name), "{agent}: {name}");
        }
    }
    let house = House::new();
    for foreign in ["codeloops/program.jsonl", "codeloops/documented.jsonl"] {
        succeed(house.il(&["import"]).arg(root().join("tests/import").join(foreign)));
        check(&house, &["tail", "--json", "@1"]);
    }
    house.record(
        &[],
        "il mark here; il event plan --data '{\"items\":[]}'; il event note --data \
        '{\"native_type\":\"x\"}'; kill -TERM $$",
    );
    check(&house, &["tail", "--json"]);
    let expected = [
        "approval",
        "assistant_message",
        "critic",
        "file_change",
        "iteration",
        "marker",
        "native",
        "note",
        "plan",
        "session_end",
        "session_start",
        "thought",
        "tool_call",
        "tool_result",
        "usage",
        "user_message",
    ];
    for kind in expected {
        assert!(kinds.contains(kind), "no event of kind {kind}");
    }
}

/// A store that was recorded elsewhere.
fn unpacked(path: &Path) -> House {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let house = House::new();
    fs::DirBuilder::new().mode(0o700).create(house.dir()).expect("a directory");
    let mut store = Vec::new();
    let file = fs::File::open(path).expect("a recording");
    GzDecoder::new(file).read_to_end(&mut store).expect("a whole recording");
    fs::write(house.file(), store).expect("the store");
    fs::set_permissions(house.file(), fs::Permissions::from_mode(0o600)).expect("private");
    house
}

/// A value of this type.
fn example(member: &Member) -> Value {
    match (member.kind.as_str(), member.items.as_str()) {
        ("integer", _) => json!(1),
        ("number", _) => json!(0.5),
        ("boolean", _) => json!(true),
        ("word", _) => json!(member.words.first().expect("words")),
        ("array", "strings") => json!(["x"]),
        ("any", _) => json!({"x": 1}),
        _ => json!("x"),
    }
}

/// Each kind of event has exactly the members that the page has under it, of these types, and is
/// read without those that are optional and not without the others.
#[test]
fn each_kind_of_event_is_on_the_page() {
    let page = Page::read();
    let envelope = page.section(ENVELOPE_SECTION);
    let names = envelope.keys().filter(|name| !name.contains(['.', '[']));
    assert_eq!(names.map(String::as_str).collect::<BTreeSet<_>>(), ENVELOPE.into());
    let parse = |value: &Value| Event::parse_line(value.to_string().as_bytes());
    for kind in Body::KINDS {
        let members = page.section(kind);
        let mut value = json!({
            "v": 1, "seq": 1, "kind": kind, "src": "pty", "stream": "main", "level": "info",
            "conf": 1.0,
        });
        for (name, member) in members {
            value[name] = example(member);
        }
        let event = parse(&value).unwrap_or_else(|| panic!("{kind}: not read: {value}"));
        let mut line = String::new();
        event.write_line(&mut line);
        let written: Value = serde_json::from_str(&line).expect("JSON");
        for name in members.keys() {
            assert_eq!(written[name], value[name], "{kind}: {name}");
        }
        // The fields of the type, as it prints itself: each is a member.
        let shown = format!("{:#?}", event.body);
        let field = |line: &&str| {
            line.starts_with("        ") && !line[8..].starts_with([' ', ')', '}', ']'])
        };
        let fields: Vec<&str> = shown.lines().filter(field).collect();
        assert_eq!(fields.len(), members.len(), "{kind}: {members:#?}\n{fields:#?}");
        for (name, member) in members {
            let mut without = value.clone();
            without.as_object_mut().expect("an object").remove(name);
            assert_eq!(parse(&without).is_some(), member.optional, "{kind}: without {name}");
            for word in &member.words {
                let mut with = value.clone();
                with[name] = json!(word);
                assert!(parse(&with).is_some(), "{kind}: {name}: {word}");
            }
            if member.kind == "word" {
                let mut with = value.clone();
                with[name] = json!("nonsense");
                assert!(parse(&with).is_none(), "{kind}: {name} takes any word");
            }
        }
    }
}

/// Every command that prints JSON has a section, and its own page leads to it.
#[test]
fn each_command_with_json_has_a_section() {
    let page = Page::read();
    for command in cli::all(COMMANDS).filter(|c| c.flags().iter().any(|f| f.long == "json")) {
        let name = command.name();
        let section = if name == "last" { "show" } else { name };
        page.section(&format!("il {section}"));
        let own = root().join(format!("man/il-{name}.1"));
        let own = fs::read_to_string(&own).expect("its page");
        assert!(own.ends_with("\n.Xr il-json 5\n"), "il-{name}.1: see also il-json(5)");
    }
}
