//! `il play` and `il attach`: what they show on a real terminal, and how they leave it.

use intentloop::term::{Options, Size, Terminal};
use rustix::process::Signal;

use crate::util::{Home, Setup, Term, contains, find, output_of, wait_until, winsize};

/// What play and attach end with: the terminal as it was.
const LEFT: &str = "\x1b[?1049l";

/// Colours, wide characters, scrolling, the other screen, and back.
const SCRIPT: &str = r#"i=0; while [ $i -lt 40 ]; do i=$((i+1)); printf '\033[3%dmline %d\033[m 世界\n' $((i%7+1)) $i; sleep 0.01; done
printf '\033[?1049h\033[2J\033[5;5Hfull screen'; sleep 0.2; printf '\033[?1049l'
printf '\033[10;20Hhere\033[22;1Hend\n'"#;

fn recorded(script: &str) -> Home {
    let home = Home::new();
    Term::spawn(home.il_run(&["sh", "-c", script])).finish();
    home
}

/// A session of thirty seconds in which something is printed only at the start and at the end.
fn imported(printed: &str) -> Home {
    let home = Home::new();
    let head = "{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":1700000000}";
    home.write("a.cast", format!("{head}\n[0.0,\"o\",\"{printed}\"]\n[30.0,\"o\",\"end\"]\n"));
    home.il(&["import", "a.cast"]);
    home
}

/// What a terminal of this size shows after `bytes`.
fn shown(bytes: &[u8], cols: u16, rows: u16) -> Terminal {
    let mut terminal = Terminal::new(Size::new(cols, rows), Options::default());
    terminal.feed(bytes);
    terminal
}

fn rows_of(terminal: &Terminal) -> Vec<String> {
    let rows = usize::from(terminal.screen().size().rows);
    (0..rows).map(|y| terminal.screen().row_text(y)).collect()
}

fn play(home: &Home, words: &[&str]) -> std::process::Command {
    let mut command = home.command("il");
    command.arg("play").args(words);
    command
}

/// A tmux of its own, in which commands run in a pane without a status line.
pub struct Tmux(pub Home);

impl Tmux {
    pub fn tmux(&self, words: &[&str]) -> String {
        let mut command = self.0.command("tmux");
        command.arg("-S").arg(self.0.work("tmux")).args(["-f", "/dev/null"]).args(words);
        command.stdin(std::process::Stdio::null());
        let output = output_of(command).expect("tmux can be started: run .ci/setup");
        assert!(output.status.success(), "{words:?}: {}", output.stderr.escape_ascii());
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    pub fn start(&self, script: &str, cols: u16, rows: u16) {
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let script = format!("{script}; sleep 600");
        self.tmux(&[
            "-u",
            "new-session",
            "-d",
            "-x",
            &cols,
            "-y",
            &rows,
            &script,
            ";",
            "set",
            "status",
            "off",
        ]);
    }

    pub fn pane(&self) -> Vec<String> {
        self.tmux(&["capture-pane", "-p"]).lines().map(|l| l.trim_end().to_owned()).collect()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn what_was_played_to_its_end_stays_as_the_engine_has_it() {
    let tmux = Tmux(recorded(SCRIPT));
    let screen = String::from_utf8(tmux.0.dump("screen")).expect("text");
    tmux.start("il play --speed 8; touch played", 80, 24);
    wait_until("the end of the replay", || tmux.0.work("played").exists().then_some(()));
    let pane = tmux.pane();
    // The cursor's next row has scrolled the first away.
    let expected: Vec<&str> = screen.lines().collect();
    let shown = &pane[..pane.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1)];
    assert!(expected.ends_with(&shown.iter().map(String::as_str).collect::<Vec<_>>()), "{pane:?}");
    assert!(shown.len() + 1 >= expected.len().min(24), "{pane:?}");
}

#[test]
fn the_terminal_is_left_as_it_was_found_however_it_ends() {
    let home = imported("\\u001b[?25l\\u001b[31m\\u001b[?1000h\\u001b[2 q");
    for end in ["q", "\x03", "TERM", "HUP", "INT", "played"] {
        let until = if end == "played" { "+0.5s" } else { "+20s" };
        let mut term = Term::spawn(play(&home, &["--until", until]));
        term.until("the terminal to be taken over", Term::is_raw);
        match end {
            "TERM" => term.kill(Signal::TERM),
            "HUP" => term.kill(Signal::HUP),
            "INT" => term.kill(Signal::INT),
            "played" => {}
            keys => term.send(keys),
        }
        let status = term.wait();
        while term.read_some().is_some_and(|len| len > 0) {}
        use std::os::unix::process::ExitStatusExt;
        let signal = match end {
            "TERM" => Some(15),
            "HUP" => Some(1),
            "INT" => Some(2),
            _ => None,
        };
        assert_eq!(status.signal(), signal, "{end}");
        assert_eq!(term.termios(), term.initial, "{end}");
        let left = find(&term.screen, LEFT.as_bytes()).unwrap_or_else(|| {
            panic!("{end}: the other screen is not left: {}", term.screen.escape_ascii())
        });
        let viewer = shown(&term.screen[..left + LEFT.len()], 80, 24);
        assert!(!viewer.screen().on_alternate() && viewer.screen().cursor_visible(), "{end}");
        assert!(!contains(&term.screen, "\x1b[?1000h"), "{end}");
    }
}

#[test]
fn stopped_it_gives_the_terminal_back_and_goes_on_later() {
    let home = imported("start");
    let mut term = Term::bash(&home);
    term.line("il play");
    term.expect("\x1b[?1049h");
    term.expect("start");
    term.send("\x1a");
    term.expect(LEFT);
    term.expect("PROMPT> ");
    term.line("fg");
    term.expect("\x1b[?1049h");
    term.expect("start");
    term.send("q");
    term.expect(LEFT);
    term.expect("PROMPT> ");
}

#[test]
fn nothing_that_asks_or_copies_reaches_the_terminal() {
    const HOSTILE: [&str; 9] = [
        "\\033[6n",
        "\\033[c",
        "\\033[>q",
        "\\033[?1003h",
        "\\033]52;c;aGk=\\007",
        "\\033]0;title\\007",
        "\\033]11;?\\007",
        "\\033P$qm\\033\\\\",
        "\\033[21t",
    ];
    let home = recorded(&format!("printf 'a{}b'; sleep 0.1", HOSTILE.join("x")));
    let unescape =
        |text: &str| text.replace("\\033", "\x1b").replace("\\007", "\x07").replace("\\\\", "\\");
    let term = Term::spawn(play(&home, &[])).finish();
    let mut piped = play(&home, &[]);
    piped.stdin(std::process::Stdio::null());
    let piped = output_of(piped).expect("il can be started");
    for shown in [&term.screen, &piped.stdout] {
        assert!(contains(shown, "axxxxxxxxb"), "{}", shown.escape_ascii());
        for hostile in HOSTILE {
            assert!(!contains(shown, unescape(hostile)), "{hostile}: {}", shown.escape_ascii());
        }
    }
}

#[test]
fn it_goes_both_ways_and_stops_where_it_is_told() {
    let home = Home::new();
    let mut cast =
        "{\"version\":2,\"width\":40,\"height\":5,\"timestamp\":1700000000}\n".to_owned();
    for second in 0..600 {
        cast.push_str(&format!("[{second}.0,\"o\",\"\\u001b[2J\\u001b[Hsecond-{second}-\"]\n"));
        if second % 100 == 50 {
            cast.push_str(&format!("[{second}.0,\"m\",\"mark-{second}-\"]\n"));
        }
    }
    home.write("a.cast", cast);
    home.il(&["import", "a.cast"]);
    let mut term = Term::spawn(play(&home, &["--from", "+2m", "--speed", "0.1"]));
    for (keys, expected) in [
        ("", "second-120-"),
        (" ", "paused"),
        ("\x1b[C", "second-125-"),
        ("\x1b[D\x1b[D", "second-115-"),
        ("n", "mark-150-"),
        ("", "second-150-"),
        ("p", "second-50-"),
        (".", "second-51-"),
        ("\x1b[A", "second-111-"),
        ("\x1b[B\x1b[B", "second-0-"),
        (">", "0.2x"),
    ] {
        // A row that is right already is not drawn again.
        term.resize(80, 23);
        term.resize(80, 24);
        term.send(keys);
        term.expect(expected);
    }
    term.send("q");
    term.finish();

    let mut piped = play(&home, &["--from", "+9m50s", "--until", "+9m52s", "--idle", "0.01"]);
    piped.stdin(std::process::Stdio::null());
    let piped = output_of(piped).expect("il can be started");
    let text = String::from_utf8(piped.stdout).expect("text");
    assert!(text.contains("second-591-") && !text.contains("second-593-"), "{text}");
    assert!(!text.contains("second-589-"), "{text}");
}

#[test]
fn what_was_marked_is_gone_to_and_exported() {
    let il = env!("CARGO_BIN_EXE_il");
    let home = recorded(&format!(
        "printf 'early '; sleep 0.3; {il} mark \"a $((6*7))nd place\"; printf 'later '; sleep 0.3"
    ));
    let mut term = Term::spawn(play(&home, &["--speed", "0.01"]));
    term.expect("early");
    term.send(" n");
    term.expect("a 42nd place");
    term.send("q");
    term.finish();
    let cast = String::from_utf8(home.il(&["export", "cast"])).expect("UTF-8");
    let marker = cast.lines().find(|line| line.contains("\"m\"")).expect("a marker");
    assert!(marker.ends_with("\"m\", \"a 42nd place\"]"), "{marker}");
}

#[test]
fn a_viewer_sees_the_screen_as_it_is_and_as_it_becomes() {
    let home = Home::new();
    let script = "stty -echo; printf 'one\\033[5;10Htwo\\033[31m'; while read -r line; do printf %s \"$line\"; done";
    let mut session = Term::spawn(home.il_run(&["sh", "-c", script]));
    session.expect("two");
    let viewers = [(80, 24), (40, 10), (100, 30)];
    let mut viewers = viewers.map(|(cols, rows)| {
        let mut command = home.command("il");
        command.arg("attach");
        let setup = Setup { winsize: winsize(cols, rows), ..Setup::default() };
        (Term::spawn_with(command, &setup), cols, rows)
    });
    for (viewer, ..) in &mut viewers {
        viewer.expect("two");
    }
    session.line("three");
    for (viewer, cols, rows) in &mut viewers {
        viewer.expect("three");
        let rows = rows_of(&shown(&viewer.screen, *cols, *rows));
        assert_eq!((rows[0].as_str(), rows[4].as_str()), ("one", "         twothree"));
    }
    // What a viewer types reaches nobody.
    viewers[0].0.send("x\rexit\r");
    viewers[0].0.send("q");
    let (mut first, ..) = { viewers.into_iter().next().expect("a viewer") };
    assert!(first.wait().success());
    assert_eq!(first.termios(), first.initial);
    session.line("four");
    session.expect("threefour");
    assert!(!contains(&session.screen, "exit"));
}

#[test]
fn a_viewer_follows_a_new_size_and_leaves_with_the_session() {
    let home = Home::new();
    let script = "printf ready; until s=$(stty size); [ \"$s\" = '10 50' ]; do sleep 0.02; done; \
                  printf \"[$s]\"; read -r line; printf bye";
    let mut session = Term::spawn(home.il_run(&["sh", "-c", script]));
    session.expect("ready");
    let mut command = home.command("il");
    command.arg("attach");
    let setup = Setup { winsize: winsize(60, 20), ..Setup::default() };
    let mut viewer = Term::spawn_with(command, &setup);
    viewer.expect("ready");
    viewer.expect("cut: the window was 80x24");
    session.resize(50, 10);
    viewer.expect("[10 50]");
    session.line("");
    let outcome = viewer.finish();
    assert!(outcome.status.success());
    assert!(contains(&outcome.screen, "bye"));
    let left = find(&outcome.screen, LEFT.as_bytes()).expect("the other screen is left");
    assert!(contains(&outcome.screen[left..], "bye"), "the last screen stays");
}

#[test]
fn the_screen_of_any_moment_can_be_had() {
    let home = Home::new();
    let head = "{\"version\":2,\"width\":20,\"height\":4,\"timestamp\":1700000000}";
    home.write(
        "a.cast",
        format!(
            "{head}\n[1.0,\"o\",\"one\"]\n[1.005,\"o\",\"!\"]\n[2.0,\"o\",\"\\r\\n\\u001b[31mtwo\"]\n\
             [3.0,\"o\",\"\\u001b[?2026htorn\"]\n[3.1,\"o\",\" whole\\u001b[?2026l\"]\n\
             [4.0,\"o\",\"\\u001b[m\"]\n[5.0,\"r\",\"30x5\"]\n"
        ),
    );
    home.il(&["import", "a.cast"]);
    let text = |words: &[&str]| String::from_utf8(home.il(words)).expect("text");
    for (time, screen) in
        [("+0s", ""), ("+1s", "one\n"), ("+1.5s", "one!\n"), ("+1m", "one!\ntwotorn whole\n")]
    {
        assert_eq!(text(&["show", "--at", time]), screen, "{time}");
        assert_eq!(text(&["dump", "screen", "--at", time]), screen, "{time}");
    }
    let later = text(&["show", "--json", "--at", "2023-11-14T22:13:25.500Z"]);
    assert!(later.starts_with("{\"v\":1,\"cols\":30,\"rows\":5,"), "{later}");
    assert_eq!(
        text(&["frames"]),
        "FRAME\tTIME\tCELLS\tROWS\tOFFSET\n1\t1.005\t4\t1\t4\n2\t2.000\t3\t1\t14\n\
         3\t3.100\t9\t1\t40\n4\t5.000\t0\t0\t43\n"
    );
    let frames = text(&["frames", "--json"]);
    let third: serde_json::Value =
        serde_json::from_str(frames.lines().nth(2).expect("a frame")).expect("JSON");
    assert_eq!(third["changed"], serde_json::json!({"1": "twotorn whole"}));
    assert_eq!(third["cursor"], serde_json::json!({"row": 1, "col": 13, "visible": true}));
}
