//! Completion scripts: each shell's own part is a shell file beside this one, with holes that the
//! table fills.

use super::{Arity, FlagDoc, HELP, HOME, Hint, Section, Spec, VERSION, all, put};

/// A shell that completion can be printed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh with its `compinit` system.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// The names that [`Shell::from_name`] takes.
    pub const NAMES: &'static [&'static str] = &["bash", "zsh", "fish"];

    /// The shell of this name.
    pub fn from_name(name: &str) -> Option<Shell> {
        match name {
            "bash" => Some(Shell::Bash),
            "zsh" => Some(Shell::Zsh),
            "fish" => Some(Shell::Fish),
            _ => None,
        }
    }
}

/// Kinds of words that `il completion` finds in the store for a script.
pub const KINDS: &[&str] = &["sessions", "streams", "tags", "projects"];

/// The completion script for `shell`.
pub fn script(shell: Shell, sections: &[Section]) -> String {
    let commands: Vec<&dyn Spec> = all(sections).map(|c| c as &dyn Spec).collect();
    let (template, holes) = match shell {
        Shell::Bash => (include_str!("il.bash"), bash(&commands)),
        Shell::Zsh => (include_str!("il.zsh"), zsh(&commands)),
        Shell::Fish => (include_str!("il.fish"), fish(&commands)),
    };
    holes.into_iter().fold(template.to_owned(), |text, (hole, filling)| {
        text.replace(hole, filling.trim_end_matches('\n'))
    })
}

type Holes = Vec<(&'static str, String)>;

/// What il itself takes, and then each command, by name; il's is empty.
fn levels(commands: &[&dyn Spec]) -> Vec<(&'static str, Vec<FlagDoc>)> {
    let own = ("", vec![HOME, HELP, VERSION]);
    std::iter::once(own).chain(commands.iter().map(|c| (c.name(), c.flags()))).collect()
}

/// `-n`, if it has one, and `--name`.
fn names(doc: &FlagDoc) -> Vec<String> {
    let short = doc.short.map(|c| format!("-{c}"));
    short.into_iter().chain([format!("--{}", doc.long)]).collect()
}

/// The names of the commands whose first operand ends the options.
fn rest(commands: &[&dyn Spec]) -> Vec<&'static str> {
    commands.iter().filter(|c| c.takes_rest()).map(|c| c.name()).collect()
}

fn repeats(arity: Arity) -> bool {
    matches!(arity, Arity::Many | Arity::Any)
}

/// Words in single quotes, for any of the three shells.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "'\\''"))
}

fn bash(commands: &[&dyn Spec]) -> Holes {
    let hint = |hint: Hint| match hint {
        Hint::None => "none".to_owned(),
        Hint::File => "file".to_owned(),
        Hint::Dir => "dir".to_owned(),
        Hint::Choice(words) => format!("choice {}", words.join(" ")),
        Hint::Session => "store sessions".to_owned(),
        Hint::Stream => "store streams".to_owned(),
        Hint::Tag => "store tags".to_owned(),
        Hint::Project => "store projects".to_owned(),
        Hint::Command => "command".to_owned(),
        Hint::Program => "program".to_owned(),
    };
    let (mut options, mut values, mut operands) = (String::new(), String::new(), String::new());
    for (name, flags) in levels(commands) {
        let words: Vec<String> = flags.iter().flat_map(names).collect();
        put(&mut options, format_args!("    '{name}') echo '{}' ;;\n", words.join(" ")));
        for doc in flags.iter().filter(|doc| doc.value.is_some()) {
            let keys: Vec<String> = names(doc).iter().map(|f| format!("'{name} {f}'")).collect();
            put(
                &mut values,
                format_args!("    {}) echo '{}' ;;\n", keys.join(" | "), hint(doc.hint)),
            );
        }
    }
    for command in commands {
        for (at, operand) in command.operands().iter().enumerate() {
            let number = if repeats(operand.arity) { "*".to_owned() } else { (at + 1).to_string() };
            let key = format!("'{} '{number}", command.name());
            put(&mut operands, format_args!("    {key}) echo '{}' ;;\n", hint(operand.hint)));
        }
    }
    let all: Vec<&str> = commands.iter().map(|c| c.name()).collect();
    let rest = rest(commands);
    vec![
        ("@COMMANDS@", all.join(" ")),
        ("@OPTIONS@", options),
        ("@VALUES@", values),
        ("@OPERANDS@", operands),
        ("@REST@", if rest.is_empty() { "''".to_owned() } else { rest.join(" | ") }),
    ]
}

fn zsh(commands: &[&dyn Spec]) -> Holes {
    let action = |hint: Hint| match hint {
        Hint::None => String::new(),
        Hint::File => "_files".to_owned(),
        Hint::Dir => "_files -/".to_owned(),
        Hint::Choice(words) => format!("({})", words.join(" ")),
        Hint::Session => "{_il_store sessions}".to_owned(),
        Hint::Stream => "{_il_store streams}".to_owned(),
        Hint::Tag => "{_il_store tags}".to_owned(),
        Hint::Project => "{_il_store projects}".to_owned(),
        Hint::Command => "_il_commands".to_owned(),
        Hint::Program => "_command_names -e".to_owned(),
    };
    let escaped = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]");
        text.replace(':', "\\:").replace('\'', "'\\''")
    };
    let option = |doc: &FlagDoc, indent: &str| {
        let value = doc.value.map(|v| format!(":{v}:{}", action(doc.hint))).unwrap_or_default();
        let text = format!("[{}]{value}", escaped(doc.help));
        let sign = if doc.value.is_some() { "=" } else { "" };
        match doc.short {
            None => format!("{indent}'*--{}{sign}{text}' \\\n", doc.long),
            Some(c) if sign.is_empty() => {
                format!("{indent}'*'{{-{c},--{}}}'{text}' \\\n", doc.long)
            }
            Some(c) => format!("{indent}'*'{{-{c}+,--{}=}}'{text}' \\\n", doc.long),
        }
    };
    let described = commands
        .iter()
        .map(|c| format!("        '{}:{}'\n", c.name(), c.summary().replace('\'', "'\\''")));
    let mut arguments = String::new();
    for command in commands {
        // After the first operand of a command that takes the rest, no word is an option of ours.
        let ends = if command.takes_rest() { " -A '-*'" } else { "" };
        put(&mut arguments, format_args!("    {})\n", command.name()));
        put(&mut arguments, format_args!("        _arguments -s -S{ends} \\\n"));
        for doc in command.flags() {
            arguments.push_str(&option(&doc, "            "));
        }
        for (at, operand) in command.operands().iter().enumerate() {
            let number = match operand.arity {
                Arity::One => (at + 1).to_string(),
                Arity::Optional => format!("{}:", at + 1),
                Arity::Many | Arity::Any => "*".to_owned(),
            };
            let (name, action) = (operand.name, action(operand.hint));
            let spec = match command.takes_rest() && number == "*" {
                true => format!("*::{name}:_normal"),
                false => format!("{number}:{name}:{action}"),
            };
            put(&mut arguments, format_args!("            '{spec}' \\\n"));
        }
        arguments.push_str("            && return\n        ;;\n");
    }
    vec![
        ("@COMMANDS@", described.collect()),
        ("@GLOBAL@", [HOME, HELP, VERSION].iter().map(|doc| option(doc, "        ")).collect()),
        ("@ARGUMENTS@", arguments),
    ]
}

fn fish(commands: &[&dyn Spec]) -> Holes {
    let from = |hint: Hint| match hint {
        Hint::None => " -x".to_owned(),
        Hint::File => " -r -F".to_owned(),
        Hint::Dir => " -x -a '(__fish_complete_directories)'".to_owned(),
        Hint::Choice(words) => format!(" -x -a '{}'", words.join(" ")),
        Hint::Session => " -x -a '(__il_store sessions)'".to_owned(),
        Hint::Stream => " -x -a '(__il_store streams)'".to_owned(),
        Hint::Tag => " -x -a '(__il_store tags)'".to_owned(),
        Hint::Project => " -x -a '(__il_store projects)'".to_owned(),
        Hint::Command => {
            let all: Vec<&str> = commands.iter().map(|c| c.name()).collect();
            format!(" -x -a '{}'", all.join(" "))
        }
        Hint::Program => " -x -a '(__il_rest)'".to_owned(),
    };
    let (mut lines, mut valued) = (String::new(), Vec::new());
    for (name, flags) in levels(commands) {
        let when = match name {
            "" => "__il_bare".to_owned(),
            _ => format!("'__il_in {name}'"),
        };
        for doc in &flags {
            let short = doc.short.map(|c| format!(" -s {c}")).unwrap_or_default();
            let value = doc.value.map(|_| from(doc.hint)).unwrap_or_default();
            let (long, help) = (doc.long, quoted(doc.help));
            put(
                &mut lines,
                format_args!("    complete -c $il -n {when}{short} -l {long}{value} -d {help}\n"),
            );
            if doc.value.is_some() {
                valued.extend(names(doc).iter().map(|f| format!("'{name} {f}'")));
            }
        }
    }
    for command in commands {
        let (name, summary) = (command.name(), quoted(command.summary()));
        put(&mut lines, format_args!("    complete -c $il -n __il_bare -a {name} -d {summary}\n"));
        for (at, operand) in command.operands().iter().enumerate() {
            let later = if repeats(operand.arity) { " +" } else { "" };
            let from = match command.takes_rest() {
                true => from(Hint::Program),
                false => from(operand.hint),
            };
            let number = at + 1;
            put(
                &mut lines,
                format_args!("    complete -c $il -n '__il_at {name} {number}{later}'{from}\n"),
            );
        }
    }
    vec![
        ("@COMPLETE@", lines),
        ("@VALUED@", valued.join(" ")),
        ("@REST@", rest(commands).join(" ")),
    ]
}
