//! Completion in the real shells: one table of command lines and what each may go on with.

use std::collections::BTreeSet;
use std::process::Command;

use intentloop::cli::{self, Arity, Hint};
use intentloop::cmd::COMMANDS;

use crate::plain::{Scratch, il, program, stdout};

/// Asks a shell, in one process, what each line that stands in its input may go on with. Answers
/// with the line, each candidate on a line of its own with what the shell says of it, and an empty
/// line.
struct Shell {
    name: &'static str,
    command: fn() -> Command,
    ask: &'static str,
}

const SHELLS: &[Shell] = &[
    Shell {
        name: "bash",
        command: || {
            let mut bash = program("bash");
            bash.args(["--norc", "-s"]);
            bash
        },
        // bash hands a completion function words and breaks at =, as readline does.
        ask: r#"
source <(il completion bash)
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
zpty -w ask 'autoload -Uz compinit && compinit -u -D && source <(il completion zsh)'
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
        command: || {
            let mut fish = program("fish");
            fish.arg("--no-config");
            fish
        },
        ask: r#"
il completion fish | source
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
    fn answers(&self, lines: &[String]) -> Vec<BTreeSet<String>> {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.path().join("folder")).expect("a folder");
        std::fs::write(scratch.path().join("paper"), "").expect("a file");
        let script = scratch.path().join("script");
        let asked: String = lines.iter().map(|line| format!("ask '{line}'\n")).collect();
        std::fs::write(&script, format!("{}{asked}", self.ask)).expect("a script");
        let output = stdout(
            (self.command)()
                .current_dir(scratch.path())
                .env("HOME", scratch.path())
                .env("ANSWERS", scratch.path().join("answers"))
                .stdin(std::fs::File::open(&script).expect("the script")),
        );
        let mut answers = output.split("\n\n");
        lines
            .iter()
            .map(|line| {
                let answer = answers.next().unwrap_or_default().trim_start_matches('\n');
                let mut said = answer.lines();
                assert_eq!(said.next(), Some(line.as_str()), "{} says:\n{output}", self.name);
                said.map(|c| c.trim().trim_end_matches(['=', '/']).to_owned())
                    .filter(|c| !c.is_empty())
                    .collect()
            })
            .collect()
    }
}

fn check(cases: &[(String, Vec<&str>)]) {
    let lines: Vec<String> = cases.iter().map(|(line, _)| line.clone()).collect();
    for shell in SHELLS {
        for ((line, expected), got) in cases.iter().zip(shell.answers(&lines)) {
            let expected: BTreeSet<String> = expected.iter().map(|c| (*c).to_owned()).collect();
            assert_eq!(got, expected, "{}: {line}", shell.name);
        }
    }
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
    check(&cases.into_iter().map(|(line, e)| (line.to_owned(), e)).collect::<Vec<_>>());
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
    check(&cases);
}

#[test]
fn each_script_is_one_that_its_shell_can_read() {
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let scratch = Scratch::new();
        let path = scratch.path().join("script");
        std::fs::write(&path, stdout(il().args(["completion", shell]))).expect("a script");
        stdout(program(shell).arg(flag).arg(&path));
    }
}
