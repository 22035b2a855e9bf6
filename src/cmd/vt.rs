//! `il vt`: what the terminal engine makes of the bytes on standard input. For testing it against
//! other engines.

use std::io::Read;

use super::print;
use crate::cli::{Command, Flag, Global, Hint, Operands};
use crate::error::{Error, Result};
use crate::term::{Format, Options, Size, WidthMode, show, steps};

/// `il vt`.
pub(crate) const COMMAND: Command<Args> = Command {
    name: "vt",
    summary: "Show what the terminal engine makes of standard input",
    flags: &[
        Flag::value("size", "COLSxROWS", "Size of the window (80x24)", |args: &mut Args, value| {
            args.size = value.to_str().and_then(Size::parse).ok_or("not a size such as 80x24")?;
            Ok(())
        }),
        Flag::value("history", "N", "Rows of history to show (0)", |args: &mut Args, value| {
            let n = value.to_str().and_then(|text| text.parse().ok());
            args.history = n.ok_or("not a number")?;
            Ok(())
        }),
        Flag::value(
            "width",
            "MODE",
            "How wide characters are measured",
            |args: &mut Args, value| {
                let mode = value.to_str().and_then(WidthMode::from_name);
                args.width =
                    mode.ok_or_else(|| format!("not one of {}", WidthMode::NAMES.join(", ")))?;
                Ok(())
            },
        )
        .hint(Hint::Choice(WidthMode::NAMES)),
        Flag::value("out", "FORMAT", "What to print", |args: &mut Args, value| {
            let format = value.to_str().and_then(Format::from_name);
            args.format =
                format.ok_or_else(|| format!("not one of {}", Format::NAMES.join(", ")))?;
            Ok(())
        })
        .hint(Hint::Choice(Format::NAMES)),
        Flag::value("steps", "FILE", "Run the steps of FILE instead", |args: &mut Args, value| {
            args.steps = Some(value.into());
            Ok(())
        })
        .hint(Hint::File),
        Flag::value("skip", "LINES", "Steps to leave out, by line", |args: &mut Args, value| {
            args.skip = value.to_string_lossy().into_owned();
            Ok(())
        }),
    ],
    shared: &[],
    operands: Operands::Refuse,
    run,
};

#[derive(Debug)]
pub(crate) struct Args {
    size: Size,
    history: usize,
    width: WidthMode,
    format: Format,
    steps: Option<std::path::PathBuf>,
    skip: String,
}

impl Default for Args {
    fn default() -> Args {
        Args {
            size: Size::new(80, 24),
            history: 0,
            width: WidthMode::default(),
            format: Format::default(),
            steps: None,
            skip: String::new(),
        }
    }
}

fn run(args: Args, _: &Global) -> Result<u8> {
    let options = Options { width: args.width, ..Options::default() };
    if let Some(path) = &args.steps {
        let script = std::fs::read_to_string(path)
            .map_err(|e| Error::io(format!("cannot read {}", path.display()), &e))?;
        return match steps::run(&script, options, &lines(&args.skip)?) {
            Ok(_) => Ok(0),
            Err(m) => Err(Error::failed(format!("{}:{}", path.display(), m.line)).why(m.what)),
        };
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io("cannot read standard input", &e))?;
    print(show(&bytes, args.size, options, args.format, args.history))?;
    Ok(0)
}

/// Reads `LINE,FILE:LINE,...`.
fn lines(text: &str) -> Result<Vec<usize>> {
    let words = text.split(',').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let line = word.rsplit(':').next().and_then(|line| line.parse().ok());
            line.ok_or_else(|| Error::usage(format!("--skip {word:?}: not a line number")))
        })
        .collect()
}
