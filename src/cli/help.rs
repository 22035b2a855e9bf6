//! Help: one form for `-h` and `--help`. Prose belongs to the man pages.

use super::{Arity, FlagDoc, HELP, HOME, Hint, Operand, Section, Spec, VERSION, put};

/// `il CMD --help`.
pub fn command(spec: &dyn Spec) -> String {
    let mut out = format!("{}\n\nUsage: il {} [options]", spec.summary(), spec.name());
    for operand in spec.operands() {
        out.push(' ');
        out.push_str(&usage(operand));
    }
    out.push('\n');
    let operands = spec.operands().iter().map(|o| (o.name.to_owned(), described(o.help, o.hint)));
    section(&mut out, "Operands", operands.collect());
    section(&mut out, "Options", spec.flags().iter().map(flag).collect());
    out
}

/// `il --help`.
pub fn overview(sections: &[Section]) -> String {
    let mut out = "The black box recorder for AI coding agents\n\n".to_owned();
    out.push_str("Usage: il [options] COMMAND [ARG...]\n");
    for group in sections {
        let rows = group.commands.iter().map(|c| (c.name().to_owned(), c.summary().to_owned()));
        section(&mut out, group.title, rows.collect());
    }
    section(&mut out, "Options", [HOME, HELP, VERSION].iter().map(flag).collect());
    out.push_str("\n'il COMMAND --help' tells a command's options, 'man il' the rest.\n");
    out
}

/// An operand as the usage line has it.
fn usage(operand: &Operand) -> String {
    let name = operand.name;
    match operand.arity {
        Arity::One => name.to_owned(),
        Arity::Optional => format!("[{name}]"),
        Arity::Many => format!("{name}..."),
        Arity::Any => format!("[{name}...]"),
    }
}

fn flag(doc: &FlagDoc) -> (String, String) {
    let short = doc.short.map_or("    ".to_owned(), |c| format!("-{c}, "));
    let value = doc.value.map_or(String::new(), |name| format!(" {name}"));
    (format!("{short}--{}{value}", doc.long), described(doc.help, doc.hint))
}

fn described(help: &str, hint: Hint) -> String {
    match hint {
        Hint::Choice(words) => format!("{help}: {}", words.join(", ")),
        _ => help.to_owned(),
    }
}

/// Columns of a help text: what a narrow terminal shows without wrapping.
pub(super) const WIDTH: usize = 79;

/// The first column's limit: a longer name has its help on the next line.
const NAME_WIDTH_MAX: usize = 24;

/// Two columns under a heading; the second one wraps.
fn section(out: &mut String, title: &str, rows: Vec<(String, String)>) {
    if rows.is_empty() {
        return;
    }
    let names = rows.iter().map(|(name, _)| name.chars().count());
    let width = names.filter(|w| *w <= NAME_WIDTH_MAX).max().unwrap_or(NAME_WIDTH_MAX);
    put(out, format_args!("\n{title}:\n"));
    for (name, help) in &rows {
        put(out, format_args!("  {name:width$}"));
        let mut column = 2 + name.chars().count().max(width);
        let break_line = |out: &mut String| {
            put(out, format_args!("\n{:indent$}", "", indent = 2 + width));
            2 + width
        };
        if column > 2 + width {
            column = break_line(out);
        }
        let mut gap = "  ";
        for word in help.split(' ') {
            if column + gap.len() + word.chars().count() > WIDTH {
                column = break_line(out);
                gap = "  ";
            }
            out.push_str(gap);
            out.push_str(word);
            column += gap.len() + word.chars().count();
            gap = " ";
        }
        out.push('\n');
    }
}
