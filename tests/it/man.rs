//! The man pages against the table: what a page says of a command is what the command takes.

use std::collections::BTreeSet;
use std::fs;

use intentloop::cli::{self, FlagDoc, HELP, HOME, VERSION};
use intentloop::cmd::COMMANDS;
use intentloop::error::{Class, Error};

use crate::plain::{program, root, run, stdout};

fn page(name: &str) -> String {
    let path = root().join("man").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The options that a page describes: its `.It Fl` lines, as a usage line would have them.
fn described(page: &str) -> BTreeSet<String> {
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Fl "));
    items.map(|item| format!("-{}", item.replace(" , Fl ", ", -").replace(" Ar ", " "))).collect()
}

/// The same of the table.
fn taken(flags: &[FlagDoc]) -> BTreeSet<String> {
    let name = |f: &FlagDoc| {
        let short = f.short.map(|c| format!("-{c}, ")).unwrap_or_default();
        let value = f.value.map(|v| format!(" {v}")).unwrap_or_default();
        format!("{short}--{}{value}", f.long)
    };
    flags.iter().map(name).collect()
}

/// The line after `macro`, or its arguments.
fn argument<'a>(page: &'a str, name: &str) -> &'a str {
    page.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim()
}

/// A summary as `.Nd` has it: a phrase within a sentence.
fn lower(summary: &str) -> String {
    let mut chars = summary.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    first + chars.as_str()
}

#[test]
fn each_command_has_a_page_that_says_what_it_takes() {
    for command in cli::all(COMMANDS) {
        let name = command.name();
        let page = page(&format!("il-{name}.1"));
        assert_eq!(argument(&page, ".Nm"), format!("il-{name}"), "il-{name}.1: .Nm");
        assert_eq!(argument(&page, ".Nd"), lower(command.summary()), "il-{name}.1: .Nd");
        assert_eq!(described(&page), taken(&command.flags()), "il-{name}.1: left, table: right");
        let synopsis = page.split(".Sh SYNOPSIS").nth(1).and_then(|s| s.split("\n.Sh").next());
        let synopsis = synopsis.expect("a synopsis");
        assert!(synopsis.contains(&format!("\n.Nm il {name}\n")), "il-{name}.1: synopsis");
        for operand in command.operands().iter().filter(|o| o.name != "SHELL") {
            let named = synopsis.lines().any(|l| l.split(' ').any(|w| w == operand.name));
            assert!(named, "il-{name}.1: synopsis without {}", operand.name);
        }
        assert!(page.contains("\n.Sh EXIT STATUS\n"), "il-{name}.1: exit status");
    }
}

/// A page of a command that is gone, or has another name, would be installed for ever.
#[test]
fn each_page_has_a_command() {
    let of_commands = cli::all(COMMANDS).map(|command| format!("il-{}.1", command.name()));
    let others = ["il.1", "il-json.5", "memmap_fs.5"].map(str::to_owned);
    let expected: BTreeSet<String> = of_commands.chain(others).collect();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let pages = fs::read_dir(root().join("man")).expect("man").map(name);
    let pages: BTreeSet<String> = pages.map(|name| name.into_string().expect("UTF-8")).collect();
    assert_eq!(pages, expected, "pages: left, commands: right");
    let page = page("il.1");
    let commands: BTreeSet<String> = cli::all(COMMANDS).map(|c| c.name().to_owned()).collect();
    let listed = page.lines().filter_map(|line| line.strip_prefix(".It Xr il-"));
    let listed = listed.filter_map(|line| line.strip_suffix(" 1"));
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(listed, commands, "il.1 lists: left, commands: right");
}

#[test]
fn the_first_page_lists_every_command() {
    let page = page("il.1");
    assert_eq!(described(&page), taken(&[HOME, HELP, VERSION]));
    for command in cli::all(COMMANDS) {
        let entry = format!("\n.It Xr il-{} 1\n{}.\n", command.name(), command.summary());
        assert!(page.contains(&entry), "il.1: {entry}");
        let see = format!("\n.Xr il-{} 1 ,\n", command.name());
        assert!(page.contains(&see), "il.1: {see}");
    }
}

#[test]
fn the_first_page_has_every_exit_status() {
    let page = page("il.1");
    let section = page.split(".Sh EXIT STATUS").nth(1).and_then(|s| s.split("\n.Sh").next());
    let listed: BTreeSet<&str> =
        section.expect("exit status").lines().filter_map(|l| l.strip_prefix(".It ")).collect();
    let classes =
        [Class::Usage, Class::Failed, Class::NothingFound, Class::Refused, Class::BrokenPipe];
    let given: BTreeSet<String> =
        classes.map(|class| Error::new(class, "x").exit_code().to_string()).into();
    assert_eq!(listed, given.iter().map(String::as_str).collect());
}

/// mandoc knows the language of the pages better than we do. It looks references up among the
/// machine's own pages, where ours need not be.
#[test]
fn mandoc_has_no_complaint() {
    for entry in fs::read_dir(root().join("man")).expect("man") {
        let path = entry.expect("an entry").path();
        let output = run(program("mandoc").args(["-T", "lint", "-W", "style"]).arg(&path));
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let said: Vec<&str> =
            said.lines().filter(|l| !l.contains("referenced manual not found")).collect();
        assert!(said.is_empty(), "{said:#?}");
        let text = stdout(program("mandoc").args(["-T", "utf8"]).arg(&path));
        assert!(text.len() > 500, "{}: {text}", path.display());
    }
}

/// What the pages refer to is there.
#[test]
fn references_among_the_pages_lead_somewhere() {
    for entry in fs::read_dir(root().join("man")).expect("man") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a page");
        for reference in text.lines().filter_map(|l| l.strip_prefix(".Xr il")) {
            let mut parts = reference.split(' ');
            let (name, section) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let target = root().join(format!("man/il{name}.{section}"));
            assert!(target.exists(), "{}: il{name}({section})", path.display());
        }
    }
}
