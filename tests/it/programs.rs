//! Small programs for the tests to record. The test executable is all of them: run under one of
//! [`NAMES`] (each [`crate::util::Home`] has the links) it does that instead of testing.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Signal, kill_current_process_group};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// The names that turn the test executable into a helper program.
pub const NAMES: [&str; 4] = ["fill", "fullscreen", "rawread", "hold"];

/// Runs before `main`, so that nothing of the test framework reaches the recorded terminal.
extern "C" fn start() {
    // The standard library knows the arguments only once main runs, on libcs other than glibc.
    let Ok(words) = std::fs::read("/proc/self/cmdline") else { return };
    let mut args = words.split(|&b| b == 0).map(|word| OsString::from_vec(word.to_vec()));
    let name = args.next().unwrap_or_default();
    let Some(name) = std::path::Path::new(&name).file_name().and_then(|name| name.to_str()) else {
        return;
    };
    let args: Vec<String> = args.filter_map(|arg| arg.into_string().ok()).collect();
    match name {
        "fill" => fill(&args[0]),
        "fullscreen" => fullscreen(),
        "rawread" => rawread(args[0].parse().unwrap(), &args[1]),
        "hold" => hold(&args[0]),
        _ => return,
    }
    std::process::exit(0);
}

#[used]
#[allow(unsafe_code)]
// SAFETY: the section holds pointers to functions, which the C runtime calls before main; `start`
// has their ABI and uses nothing that main would have to set up.
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

/// Writes to stdout until nobody has taken a byte for half a second, or 64 MiB have gone; says the
/// number in `report`. Then waits to be killed.
fn fill(report: &str) {
    const LEN_MAX: usize = 64 << 20;
    let chunk = [b'y'; 4096];
    // Its own open file description: the flag must not reach the terminal's other users.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let out = rustix::fs::open("/proc/self/fd/1", flags, rustix::fs::Mode::empty()).unwrap();
    let mut written = 0;
    while written < LEN_MAX {
        match rustix::io::write(&out, &chunk) {
            Ok(n) => written += n,
            Err(rustix::io::Errno::AGAIN) => {
                let half_second = Timespec::try_from(Duration::from_millis(500)).unwrap();
                let mut fds = [PollFd::new(&out, PollFlags::OUT)];
                if poll(&mut fds, Some(&half_second)).unwrap() == 0 {
                    break;
                }
            }
            Err(e) => panic!("fill: {e}"),
        }
    }
    publish(report, &format!("{written}\n"));
    loop {
        std::thread::park();
    }
}

/// Writes a file so that a reader sees all of it or none.
fn publish(path: &str, text: &str) {
    let partial = format!("{path}.partial");
    std::fs::write(&partial, text).unwrap();
    std::fs::rename(&partial, path).unwrap();
}

/// Reads `len` bytes from a raw terminal, writes them to `path`, and puts the terminal back.
fn rawread(len: usize, path: &str) {
    let saved = tcgetattr(stdin()).unwrap();
    let mut raw = saved.clone();
    raw.make_raw();
    tcsetattr(stdin(), OptionalActions::Now, &raw).unwrap();
    print!("READY");
    std::io::stdout().flush().unwrap();
    let mut bytes = vec![0; len];
    std::io::stdin().read_exact(&mut bytes).unwrap();
    std::fs::write(path, bytes).unwrap();
    tcsetattr(stdin(), OptionalActions::Now, &saved).unwrap();
    println!("DONE");
}

/// What editors do at a terminal: alternate screen, raw mode, a redraw whenever it is continued.
/// `^Z` suspends its process group as editors do, `s` stops it with SIGSTOP without any tidying,
/// `q` quits. Each drawing says how many there have been, and the window's size.
fn fullscreen() {
    let saved = tcgetattr(stdin()).unwrap();
    let mut raw = saved.clone();
    raw.make_raw();
    raw.local_modes.remove(LocalModes::ECHO);
    let mut drawings = 0;
    loop {
        tcsetattr(stdin(), OptionalActions::Now, &raw).unwrap();
        drawings += 1;
        let size = rustix::termios::tcgetwinsize(stdout()).unwrap();
        say(&format!("\x1b[?1049h<drawing {drawings} {}x{}>", size.ws_col, size.ws_row));
        loop {
            let mut key = [0];
            if rustix::io::read(stdin(), &mut key) != Ok(1) {
                return;
            }
            match key[0] {
                0x1a => {
                    say("\x1b[?1049l");
                    tcsetattr(stdin(), OptionalActions::Now, &saved).unwrap();
                    kill_current_process_group(Signal::TSTP).unwrap();
                    break;
                }
                b's' => {
                    kill_current_process_group(Signal::STOP).unwrap();
                    break;
                }
                b'q' => {
                    say("\x1b[?1049l");
                    tcsetattr(stdin(), OptionalActions::Now, &saved).unwrap();
                    return;
                }
                other => say(&format!("<key {other}>")),
            }
        }
    }
}

/// Keeps its terminal open without ever using it, in a session of its own; the process id goes
/// to `report`.
fn hold(report: &str) {
    let _ = rustix::process::setsid();
    publish(report, &format!("{}\n", std::process::id()));
    loop {
        std::thread::park();
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).unwrap();
    out.flush().unwrap();
}
