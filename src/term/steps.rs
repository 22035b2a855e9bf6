//! Scripts that drive a terminal and say what it must show: JSON lines, one step each.
//!
//! `{"size":[rows,cols]}` and `{"reset":1}` begin anew, `{"feed":"hex"}` and
//! `{"resize":[rows,cols]}` act. The others check: `{"cursor":[row,col]}`, `{"row":[row,text]}`,
//! `{"chars":[row,col,row_end,col_end,text]}`, `{"pen":[name,value]}`, `{"lineinfo":[row,words]}`,
//! `{"output":"hex"}` (answers since the last such check). Rows and columns count from 0.

use super::{ColorKind, Options, Pen, Size, Terminal};
use crate::json::{self, Value};

/// Steps of one script; what follows is a mismatch.
pub const STEPS_MAX: usize = 1_000_000;

/// A step whose check failed, or that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The line of the script, from 1.
    pub line: usize,
    /// What was expected and what is.
    pub what: String,
}

/// Runs `script`, leaving out the lines numbered in `skip`. The first mismatch ends it.
pub fn run(script: &str, options: Options, skip: &[usize]) -> Result<usize, Mismatch> {
    let mut size = Size::new(80, 25);
    let mut terminal = Terminal::new(size, options);
    let mut steps = 0;
    for (i, text) in script.lines().enumerate() {
        let line = i + 1;
        if text.trim().is_empty() || skip.contains(&line) {
            continue;
        }
        steps += 1;
        if steps > STEPS_MAX {
            return Err(Mismatch { line, what: format!("more than {STEPS_MAX} steps") });
        }
        let failed = |what: String| Mismatch { line, what };
        let step = json::parse(text.as_bytes()).map_err(|e| failed(e.to_string()))?;
        match step_of(&step) {
            Some(("size", value)) => {
                size = size_of(value).ok_or_else(|| failed("not a size".to_owned()))?;
                terminal = Terminal::new(size, options);
            }
            Some(("reset", _)) => terminal = Terminal::new(size, options),
            Some(("resize", value)) => {
                terminal.resize(size_of(value).ok_or_else(|| failed("not a size".to_owned()))?);
            }
            Some(("encoding", _)) => {}
            Some(("feed", value)) => {
                let bytes = value.as_str().and_then(unhex);
                terminal.feed(&bytes.ok_or_else(|| failed("not hexadecimal".to_owned()))?);
            }
            Some((name, expected)) => check(&mut terminal, name, expected).map_err(failed)?,
            None => return Err(failed("not a step".to_owned())),
        }
    }
    Ok(steps)
}

fn step_of(step: &Value) -> Option<(&str, &Value)> {
    let object = step.as_object()?;
    object.iter().find(|(name, _)| !matches!(*name, "line" | "file"))
}

fn size_of(value: &Value) -> Option<Size> {
    let number = |i: usize| u16::try_from(value.items().get(i)?.as_u64()?).ok();
    Some(Size::new(number(1)?, number(0)?))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Compares; the error says what was expected and what is.
fn check(terminal: &mut Terminal, name: &str, expected: &Value) -> Result<(), String> {
    let screen = terminal.screen();
    let number = |i: usize| expected.items().get(i).and_then(Value::as_u64).unwrap_or(0) as usize;
    let text = |i: usize| expected.items().get(i).and_then(Value::as_str).unwrap_or("").to_owned();
    let (is, wanted) = match name {
        "cursor" => {
            let (row, col) = screen.cursor();
            (format!("{row},{col}"), format!("{},{}", number(0), number(1)))
        }
        "row" => (screen.row_text(number(0)), text(1).trim_end().to_owned()),
        "chars" => {
            let mut is = String::new();
            for y in number(0)..number(2).min(usize::from(screen.size().rows)) {
                let wanted = number(1)..number(3);
                let cells = screen.row_runs(y).into_iter().flat_map(|run| {
                    let step = if run.wide { 2 } else { 1 };
                    let col = run.col;
                    let chars: Vec<char> = run.text.chars().collect();
                    chars.into_iter().enumerate().map(move |(i, c)| (col + i * step, c))
                });
                is.extend(cells.filter(|(col, _)| wanted.contains(col)).map(|(_, c)| c));
            }
            (is.trim_end().to_owned(), text(4).trim_end().to_owned())
        }
        "lineinfo" => {
            let continues = number(0) > 0 && screen.row_wraps(number(0) - 1);
            let wanted = text(1);
            let wanted = wanted.split(' ').any(|word| word == "cont");
            (continues.to_string(), wanted.to_string())
        }
        "pen" => (pen_value(screen.pen(), &text(0)).ok_or("unknown attribute")?, text(1)),
        "output" => {
            let is = terminal.take_replies();
            let is: String = is.iter().map(|b| format!("{b:02x}")).collect();
            (is, expected.as_str().unwrap_or("").to_lowercase())
        }
        _ => return Err(format!("unknown step {name}")),
    };
    match is == wanted {
        true => Ok(()),
        false => Err(format!("{name}: expected {wanted:?}, is {is:?}")),
    }
}

fn pen_value(pen: Pen, name: &str) -> Option<String> {
    let flag = |bit: u16| if pen.attrs & bit != 0 { "on" } else { "off" }.to_owned();
    let color = |color: super::Color| match color.kind() {
        ColorKind::Default => "default".to_owned(),
        ColorKind::Indexed(i) => format!("idx({i})"),
        ColorKind::Rgb(r, g, b) => format!("rgb({r},{g},{b})"),
    };
    Some(match name {
        "bold" => flag(Pen::BOLD),
        "italic" => flag(Pen::ITALIC),
        "blink" => flag(Pen::BLINK),
        "reverse" => flag(Pen::INVERSE),
        "conceal" => flag(Pen::HIDDEN),
        "strike" => flag(Pen::STRIKE),
        "underline" => pen.underline().to_string(),
        "foreground" => color(pen.fg),
        "background" => color(pen.bg),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(script: &str) -> Result<usize, Mismatch> {
        run(script, Options::default(), &[])
    }

    #[test]
    fn a_script_ends_at_the_first_mismatch() {
        let script = "{\"size\":[5,10]}\n{\"feed\":\"61621b5b316d\"}\n{\"cursor\":[0,2]}\n\
                      {\"row\":[0,\"ab\"]}\n{\"pen\":[\"bold\",\"on\"]}\n{\"chars\":[0,1,1,2,\"b\"]}\n";
        assert_eq!(outcome(script), Ok(6));
        let wrong = format!("{script}\n{{\"cursor\":[1,2]}}\n{{\"row\":[0,\"x\"]}}");
        let what = "cursor: expected \"1,2\", is \"0,2\"".to_owned();
        assert_eq!(outcome(&wrong), Err(Mismatch { line: 8, what }));
        assert_eq!(run(&wrong, Options::default(), &[8, 9]), Ok(6));
    }

    #[test]
    fn answers_and_continued_rows_can_be_checked() {
        let script = "{\"size\":[3,4]}\n{\"feed\":\"61626364651b5b356e\"}\n{\"lineinfo\":[1,\"cont\"]}\n\
                      {\"output\":\"1b5b306e\"}\n{\"output\":\"\"}\n{\"resize\":[3,5]}\n{\"row\":[0,\"abcde\"]}";
        assert_eq!(outcome(script), Ok(7));
    }

    #[test]
    fn what_is_no_step_is_said() {
        for script in ["{", "[1]", "{\"fly\":1}", "{\"feed\":\"6\"}", "{\"size\":[1]}"] {
            assert!(outcome(script).is_err(), "{script}");
        }
    }
}
