//! The engine, on a table of its own: what a command line asks for, as text.

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[derive(Debug, Default)]
struct Args {
    all: bool,
    limit: Option<u32>,
    words: Vec<OsString>,
}

const SHARED: &[Flag<Args>] =
    &[Flag::value("tag", "TAG", "Sessions with this tag", |_, _| Ok(())).hint(Hint::Tag)];

const LIST: Command<Args> = Command {
    name: "list",
    summary: "List the sessions",
    flags: &[
        Flag::switch("all", "Leave none out", |a: &mut Args| a.all = true).short('a'),
        Flag::value("limit", "N", "At most this many sessions", |a: &mut Args, v| {
            a.limit = Some(v.to_str().and_then(|v| v.parse().ok()).ok_or("not a number")?);
            Ok(())
        })
        .short('l'),
        Flag::value("sort", "ORDER", "Order of the sessions", |_, _| Ok(()))
            .hint(Hint::Choice(&["newest", "oldest"])),
    ],
    shared: SHARED,
    operands: Operands::Refuse,
    run,
};

const SHOW: Command<Args> = Command {
    name: "show",
    summary: "Show a session",
    flags: &[],
    shared: &[],
    operands: Operands::Each(
        &[
            Operand::one("STREAM", Hint::Stream, "Stream to show"),
            Operand::optional("ID", Hint::Session, "Session to show"),
        ],
        |a, v| match v.to_str() {
            Some("bad") => Err("no such thing".to_owned()),
            _ => {
                a.words.push(v);
                Ok(())
            }
        },
    ),
    run,
};

const RUN: Command<Args> = Command {
    name: "run",
    summary: "Record a command",
    flags: LIST.flags,
    shared: &[],
    operands: Operands::Rest(
        &[
            Operand::one("CMD", Hint::Program, "Command to record"),
            Operand::any("ARG", Hint::File, "Its arguments"),
        ],
        |a, v| a.words = v,
    ),
    run,
};

const TABLE: &[Section] = &[
    Section { title: "Record", commands: &[&RUN] },
    Section { title: "Look", commands: &[&LIST, &SHOW] },
];

thread_local! {
    static RAN: RefCell<String> = const { RefCell::new(String::new()) };
}

fn run(args: Args, global: &Global) -> Result<u8> {
    if args.limit == Some(13) {
        return Err(crate::Error::usage("13 is unlucky"));
    }
    let words = args.words.iter().map(|w| format!(" {w:?}")).collect::<String>();
    let home = global.home.as_ref().map(|h| format!(" home={h:?}")).unwrap_or_default();
    let limit = args.limit.map(|n| format!(" limit={n}")).unwrap_or_default();
    let all = if args.all { " all" } else { "" };
    RAN.with(|ran| *ran.borrow_mut() = format!("{all}{limit}{words}{home}"));
    Ok(0)
}

/// What the words ask for: `name arguments`, or `who: error [hint]`.
fn asked(words: impl IntoIterator<Item = OsString>) -> String {
    let error = |who: Option<&str>, e: crate::Error| {
        assert_eq!(e.exit_code(), 2);
        format!("{}: {e} [{}]", who.unwrap_or("il"), e.hint().unwrap_or("no hint"))
    };
    match request(words, TABLE) {
        Err((who, e)) => error(who, e),
        Ok(Request::Run(name, work)) => match work() {
            Ok(_) => format!("{name}{}", RAN.with(|ran| ran.take())),
            Err(e) => error(Some(name), e),
        },
        Ok(other) => format!("{other:?}"),
    }
}

#[test]
fn a_command_line_asks_for_one_thing() {
    for (line, expected) in [
        ("list", "list"),
        ("list --all -l 5", "list all limit=5"),
        ("list -al5", "list all limit=5"),
        ("list --limit=5 -l 6", "list limit=6"),
        ("--home /x list", "list home=\"/x\""),
        ("--home=/x list --home /y", "list home=\"/y\""),
        ("show stdout @2", "show \"stdout\" \"@2\""),
        ("show -- --help", "show \"--help\""),
        ("show stdout --home /x", "show \"stdout\" home=\"/x\""),
        ("run claude --resume -x --help", "run \"claude\" \"--resume\" \"-x\" \"--help\""),
        ("run -l 3 -- claude -- -x", "run limit=3 \"claude\" \"--\" \"-x\""),
        ("run -- --odd", "run \"--odd\""),
        ("run --home /x sh -c --home", "run \"sh\" \"-c\" \"--home\" home=\"/x\""),
        ("run - -l", "run \"-\" \"-l\""),
        ("--help", "Overview"),
        ("-h list", "Overview"),
        ("-V", "Version"),
        ("--version", "Version"),
        ("list -h", "Help(list)"),
        ("show --help", "Help(show)"),
        ("run --help sh", "Help(run)"),
    ] {
        assert_eq!(asked(line.split(' ').map(OsString::from)), expected, "{line}");
    }
}

#[test]
fn a_wrong_word_is_named_with_the_next_step() {
    for (line, expected) in [
        ("lits", "il: unknown command 'lits' (did you mean 'list'?) [try 'il --help']"),
        (
            "claude",
            "il: unknown command 'claude' ['il run CMD' records a command; 'il --help' lists il's own]",
        ),
        ("--hoem /x", "il: unknown option --hoem (did you mean --home?) [try 'il --help']"),
        ("--home", "il: --home: missing DIR [try 'il --help']"),
        ("--home= list", "il: --home '': not a directory's name [try 'il --help']"),
        ("--version=3", "Version"),
        (
            "list --limt 3",
            "list: unknown option --limt (did you mean --limit?) [try 'il list --help']",
        ),
        ("list -x", "list: unknown option -x [try 'il list --help']"),
        ("list --limit x", "list: --limit 'x': not a number [try 'il list --help']"),
        ("list -lx", "list: -l 'x': not a number [try 'il list --help']"),
        ("list --limit", "list: --limit: missing N [try 'il list --help']"),
        ("list --all=3", "list: --all takes no value [try 'il list --help']"),
        ("list here", "list: unexpected operand 'here' [try 'il list --help']"),
        ("list --limit 13", "list: 13 is unlucky [try 'il list --help']"),
        ("show", "show: missing STREAM [try 'il show --help']"),
        ("show a b c", "show: unexpected operand 'c' [try 'il show --help']"),
        ("show bad", "show: 'bad': no such thing [try 'il show --help']"),
        ("run --all", "run: missing CMD [try 'il run --help']"),
        ("run --", "run: missing CMD [try 'il run --help']"),
    ] {
        assert_eq!(asked(line.split(' ').map(OsString::from)), expected, "{line}");
    }
    assert_eq!(asked([]), "il: no command given [try 'il --help']");
    let escape = OsString::from("l\x1b[2Jt\u{9b}");
    assert_eq!(
        asked([escape]),
        "il: unknown command 'l\\u{1b}[2Jt\\u{9b}' ['il run CMD' records a command; 'il --help' lists il's own]"
    );
}

#[test]
fn words_that_are_not_utf8_survive() {
    let odd = || OsString::from_vec(vec![b'a', 0xff, b'b']);
    let line = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let with = |words: &[&str], last: OsString| {
        let mut all = line(words);
        all.push(last);
        asked(all)
    };
    assert_eq!(with(&["show"], odd()), "show \"a\\xFFb\"");
    assert_eq!(with(&["run", "sh"], odd()), "run \"sh\" \"a\\xFFb\"");
    assert_eq!(with(&["show", "x", "--home"], odd()), "show \"x\" home=\"a\\xFFb\"");
    let glued = OsString::from_vec(b"--home=a\xffb".to_vec());
    assert_eq!(with(&["show", "x"], glued), "show \"x\" home=\"a\\xFFb\"");
    assert!(with(&[], odd()).starts_with("il: unknown command 'a\u{fffd}b' "));
    assert!(with(&["list"], OsString::from_vec(b"--\xff".to_vec())).contains("--\u{fffd}"));
    assert!(with(&["list"], OsString::from_vec(b"-\xff".to_vec())).contains("unknown option -"));
}

/// Every line of up to three words from those that mean most to a parser gives an answer, and no
/// error without a next step. The words of a rest command come out as they went in.
#[test]
fn every_short_line_gets_an_answer() {
    let words = [
        "", "-", "--", "---", "-h", "--help", "--home", "--home=", "-l", "-l5", "-al", "--limit",
        "--all=x", "list", "show", "run", "=", "-=", "--=", "x",
    ];
    let mut lines: Vec<Vec<&str>> = vec![vec![]];
    for _ in 0..3 {
        let longer = lines.iter().flat_map(|l| words.iter().map(|w| [&l[..], &[*w]].concat()));
        lines = lines.iter().cloned().chain(longer.collect::<Vec<_>>()).collect();
    }
    for line in lines {
        let answer = asked(line.iter().map(OsString::from));
        assert!(!answer.contains("no hint"), "{line:?}: {answer}");
        if let ["run", first, rest @ ..] = &line[..]
            && !first.starts_with('-')
        {
            let echo: String =
                [&[*first], rest].concat().iter().map(|w| format!(" {w:?}")).collect();
            assert_eq!(answer, format!("run{echo}"));
        }
    }
}

#[test]
fn help_is_the_table_in_two_columns() {
    assert_eq!(
        command_help(&LIST),
        "\
List the sessions

Usage: il list [options]

Options:
  -a, --all         Leave none out
  -l, --limit N     At most this many sessions
      --sort ORDER  Order of the sessions: newest, oldest
      --tag TAG     Sessions with this tag
      --home DIR    Keep the store in DIR, not in ~/.intentloop
  -h, --help        Print this help
"
    );
    assert!(command_help(&RUN).contains("\nUsage: il run [options] CMD [ARG...]\n"));
    assert!(command_help(&SHOW).contains("\nUsage: il show [options] STREAM [ID]\n"));
    assert!(
        overview(TABLE).contains("\nLook:\n  list  List the sessions\n  show  Show a session\n")
    );
}

#[test]
fn the_table_of_these_tests_is_well_formed() {
    check::table(TABLE);
}

/// The checks are worth what they refuse: each of these tables breaks one of them.
#[test]
fn a_malformed_table_is_refused() {
    macro_rules! with {
        ($flags:expr, $operands:expr $(,)?) => {
            Command {
                name: "odd",
                summary: "Be odd",
                flags: $flags,
                shared: &[],
                operands: $operands,
                run,
            }
        };
    }
    const fn flag(long: &'static str, help: &'static str) -> Flag<Args> {
        Flag::switch(long, help, |_| ())
    }
    const OK: Command<Args> = with!(&[flag("fine", "Is fine")], Operands::Refuse);
    const NAME: Command<Args> = with!(&[flag("Fine", "Is fine")], Operands::Refuse);
    const HELP: Command<Args> = with!(&[flag("help", "Is fine")], Operands::Refuse);
    const TWICE: Command<Args> = with!(
        &[flag("one", "Is fine").short('o'), flag("two", "Is fine").short('o')],
        Operands::Refuse,
    );
    const LOWER: Command<Args> = with!(&[flag("fine", "is fine")], Operands::Refuse);
    const STOP: Command<Args> = with!(&[flag("fine", "Is fine.")], Operands::Refuse);
    const CHOICE: Command<Args> =
        with!(&[flag("fine", "Is fine").hint(Hint::Choice(&["a"]))], Operands::Refuse);
    const SETTER: Command<Args> =
        with!(&[Flag::value("fine", "N", "Is fine", |_, _| Err("no".into()))], Operands::Refuse);
    const MANY: Command<Args> = with!(
        &[],
        Operands::Each(
            &[Operand::any("A", Hint::None, "All"), Operand::one("B", Hint::None, "One")],
            |_, _| Ok(()),
        ),
    );
    const WIDE: Command<Args> = with!(
        &[flag(
            "fine",
            "Iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiis",
        )],
        Operands::Refuse,
    );
    const GOOD: &[Section] = &[Section { title: "Odd", commands: &[&OK] }];
    const BAD: &[&[Section]] = &[
        &[Section { title: "Odd", commands: &[&NAME] }],
        &[Section { title: "Odd", commands: &[&HELP] }],
        &[Section { title: "Odd", commands: &[&TWICE] }],
        &[Section { title: "Odd", commands: &[&LOWER] }],
        &[Section { title: "Odd", commands: &[&STOP] }],
        &[Section { title: "Odd", commands: &[&CHOICE] }],
        &[Section { title: "Odd", commands: &[&SETTER] }],
        &[Section { title: "Odd", commands: &[&MANY] }],
        &[Section { title: "Odd", commands: &[&WIDE] }],
        &[Section { title: "Odd", commands: &[&OK, &OK] }],
    ];
    check::table(GOOD);
    for table in BAD {
        let refused = catch_unwind(AssertUnwindSafe(|| check::table(table))).is_err();
        assert!(refused, "{table:?}");
    }
}
