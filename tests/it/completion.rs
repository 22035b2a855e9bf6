//! Completion in the real shells: one table of command lines and what each may go on with.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process;

use intentloop::cli::{self, Arity, Command, Flag, Hint, Operand, Operands, Section};
use intentloop::cmd::COMMANDS;

use crate::house::House;
use crate::plain::{Scratch, il, program, run, stdout};

/// Asks a shell, in one process, what each line that stands in its input may go on with. Answers
/// with the line, each candidate on a line of its own with what the shell says of it, and an empty
/// line.
struct Shell {
    name: &'static str,
    shell: cli::Shell,
    command: fn() -> process::Command,
    ask: &'static str,
}

const SHELLS: &[Shell] = &[
    Shell {
        name: "bash",
        shell: cli::Shell::Bash,
        command: || {
            let mut bash = program("bash");
            bash.args(["--norc", "-s"]);
            bash
        },
        // bash hands a completion function words and breaks at =, as readline does.
        ask: r#"
source $SCRIPT
ask() {
    local line=$1
    local words=${line//=/ = }
    [[ $words == *' ' ]] && words+="''"
    eval "COMP_WORDS=($words)"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMP_LINE=$line COMP_POINT=${#line}
    _il 2>&1
    printf '%s\n' "$line" "${COMPREPLY[@]}" ''
}
"#,
    },
    Shell {
        name: "zsh",
        shell: cli::Shell::Zsh,
        command: || {
            let mut zsh = program("zsh");
            zsh.args(["-f", "-s"]);
            zsh
        },
        // zsh completes in its line editor only, which needs a terminal: zpty is one. There,
        // compadd says what it would add.
        ask: r#"
zmodload zsh/zpty
zpty -b ask zsh -f -i
zpty -w ask 'PROMPT= PS2= RPROMPT=; unsetopt zle_bracketed_paste 2>/dev/null; stty -echo'
zpty -w ask 'autoload -Uz compinit && compinit -u -D && source $SCRIPT'
zpty -w ask 'compadd() {
    [[ ${@[1,(i)(-|--)]} == *-[OAD]\ * ]] && { builtin compadd "$@"; return }
    local -a hits
    builtin compadd -A hits "$@"
    found+=("${(@)hits}")
    builtin compadd "$@"
}
ask-word() {
    typeset -ga found
    found=()
    zle complete-word 2>/dev/null
    print -rl -- "ANSWER" "${(@)found}" "END" > $ANSWERS
    zle kill-buffer
}
zle -N ask-word
bindkey "^I" ask-word
zstyle ":completion:*" completer _complete
setopt no_list_beep no_beep'
ask() {
    rm -f $ANSWERS
    zpty -w -n ask "$1"$'\t'
    until grep -qs '^END$' $ANSWERS; do sleep 0.01; zpty -r -t ask ignored || :; done
    print -r -- "$1"
    sed '1d;$d' $ANSWERS
    print
}
"#,
    },
    Shell {
        name: "fish",
        shell: cli::Shell::Fish,
        command: || {
            let mut fish = program("fish");
            fish.arg("--no-config");
            fish
        },
        ask: r#"
source $SCRIPT
function ask
    echo $argv[1]
    complete -C $argv[1] | string replace -r '\t.*' ''
    echo
end
"#,
    },
];

impl Shell {
    /// The candidates for each line, without the sign that follows an option with a value.
    fn answers(&self, table: &[Section], lines: &[String]) -> Vec<BTreeSet<String>> {
        let scratch = Scratch::new();
        let file = |name: &str, text: &str| {
            fs::write(scratch.path().join(name), text).expect("a file");
            scratch.path().join(name)
        };
        fs::create_dir(scratch.path().join("folder")).expect("a folder");
        file("paper", "");
        let il = file("il", IL);
        fs::set_permissions(il, fs::Permissions::from_mode(0o755)).expect("a program");
        let completion = file("completion", &cli::script(self.shell, table));
        let asked: String = lines.iter().map(|line| format!("ask '{line}'\n")).collect();
        let asked = file("asked", &format!("{}{asked}", self.ask));
        let mut command = (self.command)();
        let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, v)| v);
        let mut dirs = scratch.path().as_os_str().to_owned();
        dirs.push(":");
        dirs.push(path.expect("a search path"));
        let output = stdout(
            command
                .current_dir(scratch.path())
                .env("PATH", dirs)
                .env("HOME", scratch.path())
                .env("ANSWERS", scratch.path().join("answers"))
                .env("SCRIPT", completion)
                .stdin(fs::File::open(asked).expect("the script")),
        );
        assert!(!scratch.path().join("touched").exists(), "{}: data was expanded", self.name);
        let mut answers = output.split("\n\n");
        lines
            .iter()
            .map(|line| {
                let answer = answers.next().unwrap_or_default().trim_start_matches('\n');
                let mut said = answer.lines();
                assert_eq!(said.next(), Some(line.as_str()), "{} says:\n{output}", self.name);
                // fish repeats the option before the value that it offers.
                let word = line.rsplit(' ').next().unwrap_or_default();
                let option = word.find('=').map_or("", |at| &word[..=at]);
                said.map(|c| c.trim().trim_start_matches(option))
                    .map(|c| c.trim_end_matches(['=', '/']).replace('\\', ""))
                    .filter(|c| !c.is_empty())
                    .collect()
            })
            .collect()
    }
}

/// Stands in for il and a store with these sessions. What was recorded is data, and must not be
/// run.
const IL: &str = r#"#!/bin/sh
[ "$1" = completion ] || exit 1
case $2 in
sessions)
    printf '019e6c0a-8f2b\t2026-05-30 15:12:33 running make\n'
    printf '019e6c0a-77aa\t2026-05-30 15:12:31 failed $(touch touched)\n'
    printf '01a00000-0000\t2026-05-30 15:12:30 failed `touch touched`\n'
    printf '01a00000-0001\t2026-05-30 15:12:30 failed\n'
    ;;
streams) printf 'stdout\nstdin\nstderr\nnative/0\n' ;;
tags) printf 'nightly\nwip\n' ;;
projects) printf '$(touch touched)\nshop\nweb\n' ;;
esac
"#;

/// Asks all shells; a candidate is what the line goes on with.
fn check(table: &[Section], cases: &[(String, Vec<&str>)]) {
    let lines: Vec<String> = cases.iter().map(|(line, _)| line.clone()).collect();
    for shell in SHELLS {
        for ((line, expected), got) in cases.iter().zip(shell.answers(table, &lines)) {
            let expected: BTreeSet<String> = expected.iter().map(|c| (*c).to_owned()).collect();
            assert_eq!(got, expected, "{}: {line}", shell.name);
        }
    }
}

#[derive(Debug, Default)]
struct Words;

/// One of each kind of thing that completes.
const KINDS: &[Section] = &[Section {
    title: "Kinds",
    commands: &[
        &Command::<Words> {
            name: "run",
            summary: "Record a command: 'it', \"as\" [is], $HOME",
            flags: &[
                Flag::switch("all", "Take 'all', [even] $HOME: \\ and `more`", |_| ()).short('a'),
                Flag::value("tag", "TAG", "Tag it", |_, _| Ok(())).short('t').hint(Hint::Tag),
            ],
            shared: &[],
            operands: Operands::Rest(
                &[
                    Operand::one("CMD", Hint::Program, "Command"),
                    Operand::any("ARG", Hint::File, "Its arguments"),
                ],
                |_, _| (),
            ),
            run: |_, _| Ok(0),
        },
        &Command::<Words> {
            name: "dump",
            summary: "Print a stream",
            flags: &[
                Flag::value("output", "FILE", "Write there", |_, _| Ok(()))
                    .short('o')
                    .hint(Hint::File),
                Flag::value("project", "NAME", "Of this project", |_, _| Ok(()))
                    .hint(Hint::Project),
                Flag::value("status", "S", "Of this status", |_, _| Ok(()))
                    .hint(Hint::Choice(&["failed", "running"])),
            ],
            shared: &[],
            operands: Operands::Each(
                &[
                    Operand::one("STREAM", Hint::Stream, "Stream"),
                    Operand::optional("ID", Hint::Session, "Session"),
                ],
                |_, _| Ok(()),
            ),
            run: |_, _| Ok(0),
        },
        &Command::<Words> {
            name: "rm",
            summary: "Remove sessions",
            flags: &[],
            shared: &[],
            operands: Operands::Each(&[Operand::many("ID", Hint::Session, "Sessions")], |_, _| {
                Ok(())
            }),
            run: |_, _| Ok(0),
        },
    ],
}];

#[test]
fn each_kind_of_thing_completes() {
    let ids = vec!["019e6c0a-77aa", "019e6c0a-8f2b", "01a00000-0000", "01a00000-0001"];
    let cases: Vec<(&str, Vec<&str>)> = vec![
        ("il r", vec!["rm", "run"]),
        ("il run --", vec!["--all", "--tag", "--home", "--help"]),
        ("il run --all --t", vec!["--tag"]),
        ("il run -t x --al", vec!["--all"]),
        ("il run sh-no-such-thin", vec![]),
        ("il run --tag x cat pap", vec!["paper"]),
        ("il run -- cat pap", vec!["paper"]),
        ("il run cat --al", vec![]),
        ("il run cat --home fol", vec!["folder"]),
        ("il run --tag ", vec!["nightly", "wip"]),
        ("il run -t w", vec!["wip"]),
        ("il dump std", vec!["stderr", "stdin", "stdout"]),
        ("il dump na", vec!["native/0"]),
        ("il dump stdout ", ids.clone()),
        ("il dump stdout 01a", vec!["01a00000-0000", "01a00000-0001"]),
        ("il dump -o x stdout 019e6c0a-8", vec!["019e6c0a-8f2b"]),
        ("il dump -o pap", vec!["paper"]),
        ("il dump --output=pap", vec!["paper"]),
        ("il dump --output pap", vec!["paper"]),
        ("il dump --project w", vec!["web"]),
        ("il dump --project ", vec!["$(touch touched)", "shop", "web"]),
        ("il dump --status=r", vec!["running"]),
        ("il dump --status ", vec!["failed", "running"]),
        ("il dump --home f", vec!["folder"]),
        ("il rm ", ids.clone()),
        ("il rm 019e6c0a-77aa 01a00000-0000 019e", vec!["019e6c0a-77aa", "019e6c0a-8f2b"]),
    ];
    check(KINDS, &cases.into_iter().map(|(line, e)| (line.to_owned(), e)).collect::<Vec<_>>());
}

#[test]
fn the_shells_offer_what_goes_on_from_there() {
    let commands: Vec<&str> = cli::all(COMMANDS).map(|c| c.name()).collect();
    let with = |start: &str| commands.iter().copied().filter(|c| c.starts_with(start)).collect();
    let cases: Vec<(&str, Vec<&str>)> = vec![
        ("il ", commands.clone()),
        ("il compl", vec!["completion"]),
        ("il --home folder compl", vec!["completion"]),
        ("il --home=folder compl", vec!["completion"]),
        ("il --", vec!["--home", "--help", "--version"]),
        ("il help co", with("co")),
        ("il completion ", vec!["bash", "fish", "zsh"]),
        ("il completion z", vec!["zsh"]),
        ("il completion --home folder z", vec!["zsh"]),
        ("il completion --home f", vec!["folder"]),
        ("intentloop completion f", vec!["fish"]),
        ("intent completion f", vec!["fish"]),
    ];
    check(COMMANDS, &cases.into_iter().map(|(line, e)| (line.to_owned(), e)).collect::<Vec<_>>());
}

/// Each command: its options are offered, all of them and no others, and each value with choices
/// offers those.
#[test]
fn the_shells_offer_the_whole_table() {
    let mut cases = Vec::new();
    for command in cli::all(COMMANDS) {
        let flags = command.flags();
        let longs: Vec<String> = flags.iter().map(|f| format!("--{}", f.long)).collect();
        cases.push((format!("il {} --", command.name()), longs));
        for flag in flags {
            if let Hint::Choice(words) = flag.hint {
                let line = format!("il {} --{} ", command.name(), flag.long);
                cases.push((line, words.iter().map(|w| (*w).to_owned()).collect()));
            }
        }
        let first = command.operands().first().filter(|o| o.arity == Arity::One);
        if let Some(Hint::Choice(words)) = first.map(|o| o.hint) {
            let line = format!("il {} ", command.name());
            cases.push((line, words.iter().map(|w| (*w).to_owned()).collect()));
        }
    }
    let cases: Vec<(String, Vec<&str>)> = cases
        .iter()
        .map(|(line, words)| (line.clone(), words.iter().map(String::as_str).collect()))
        .collect();
    check(COMMANDS, &cases);
}

#[test]
fn each_script_is_one_that_its_shell_can_read() {
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let scratch = Scratch::new();
        let path = scratch.path().join("script");
        fs::write(&path, stdout(il().args(["completion", shell]))).expect("a script");
        stdout(program(shell).arg(flag).arg(&path));
    }
}

/// What the scripts ask il for, with a store and without.
#[test]
fn words_come_from_the_store() {
    let house = House::new();
    let words = |kind: &str| stdout(&mut house.il(&["completion", kind]));
    let fixed = intentloop::library::STREAMS.join("\n");
    assert_eq!(words("streams"), format!("{fixed}\n"));
    for kind in ["sessions", "tags", "projects"] {
        let output = run(&mut house.il(&["completion", kind]));
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]), "{kind}");
    }
    house.record(&["--tag", "wip", "--tag", "a b"], "true");
    house.record(&["--tag", "wip"], "false");
    let sessions = words("sessions");
    let ids = house.ids();
    let said: Vec<(&str, &str)> = sessions.lines().filter_map(|l| l.split_once('\t')).collect();
    assert_eq!(said.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [&ids[0][..13], &ids[1][..13]]);
    assert!(said[0].1.ends_with(" failed sh -c false"), "{sessions}");
    assert_eq!(words("tags"), "a b\nwip\n");
    assert_eq!(words("streams"), format!("{fixed}\n"));
}
