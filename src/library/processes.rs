//! The processes of a session, as the system lists them.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::sys::process;

/// Processes looked at for agents of a session.
pub const PROCESSES_MAX: usize = 10_000;

/// A process and its arguments.
pub type Process = (i32, Vec<String>);

/// The processes that have `mark` in their environment. None where the system does not tell.
pub fn marked(mark: &str) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.take(PROCESSES_MAX)
        .filter(|pid| *pid != process::own_pid().0)
        .filter(|pid| environment(*pid).iter().any(|word| word.as_bytes() == mark.as_bytes()))
        .filter_map(|pid| Some((pid, argv(pid)?)))
        .collect()
}

/// The processes below `root`, itself not among them.
pub fn below(root: i32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut next = match children(root) {
        Some(next) => next,
        None => return listed(root),
    };
    while let Some(pid) = next.pop().filter(|_| found.len() < PROCESSES_MAX) {
        next.extend(children(pid).unwrap_or_default());
        found.extend(argv(pid).map(|argv| (pid, argv)));
    }
    let own = process::own_pid().0;
    found.retain(|(pid, _)| *pid != own);
    found
}

/// The value of a variable in the environment of a process, where the system tells.
pub fn variable(environment: &[OsString], name: &str) -> Option<OsString> {
    let value = |word: &OsString| {
        let rest = word.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(OsStr::from_bytes(rest).to_owned())
    };
    environment.iter().find_map(value)
}

/// The environment that a process was started with; empty where the system does not tell.
pub fn environment(pid: i32) -> Vec<OsString> {
    words(&format!("/proc/{pid}/environ")).unwrap_or_default()
}

fn argv(pid: i32) -> Option<Vec<String>> {
    let argv = words(&format!("/proc/{pid}/cmdline"))?;
    let argv = argv.iter().map(|word| word.to_string_lossy().into_owned());
    Some(argv.filter(|word| !word.is_empty()).collect())
}

fn words(path: &str) -> Option<Vec<OsString>> {
    let bytes = fs::read(path).ok()?;
    Some(bytes.split(|b| *b == 0).map(|word| OsStr::from_bytes(word).to_owned()).collect())
}

/// The children of all its threads. None where the system has no such list.
fn children(pid: i32) -> Option<Vec<i32>> {
    let mut children = None;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let Ok(list) = fs::read_to_string(thread.path().join("children")) else { continue };
        let pids = list.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
        children.get_or_insert_with(Vec::new).extend(pids);
    }
    children
}

/// The same from the words of ps(1), which every system has. They are cut at blanks, which is
/// enough to know a program by.
fn listed(root: i32) -> Vec<Process> {
    let mut ps = Command::new("ps");
    ps.args(["-A", "-o", "pid=", "-o", "ppid=", "-o", "args="]);
    let output = ps.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    of_list(&String::from_utf8_lossy(&text), root)
}

/// Those below `root` in lines of `pid parent arguments`.
fn of_list(list: &str, root: i32) -> Vec<Process> {
    let mut below: HashMap<i32, Vec<Process>> = HashMap::new();
    for line in list.lines().take(PROCESSES_MAX) {
        let mut words = line.split_whitespace();
        let mut number = || words.next()?.parse::<i32>().ok();
        let (Some(pid), Some(parent)) = (number(), number()) else { continue };
        let argv = words.map(str::to_owned).collect();
        below.entry(parent).or_default().push((pid, argv));
    }
    let mut found: Vec<Process> = below.remove(&root).unwrap_or_default();
    let mut met: HashSet<i32> = HashSet::from([root]);
    let mut at = 0;
    while let Some((pid, _)) = found.get(at) {
        if met.insert(*pid) {
            found.extend(below.remove(pid).unwrap_or_default());
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn what_ps_lists_is_a_tree() {
        let list = "    1     0 /sbin/init\n   20    10 sh ./wrapper\n   10     5 il run ./wrapper\n\
                      21    20 claude -p  hi\n   30     1 codex\n   22  21 node x\n x y z\n  7\n";
        let names = |root| -> Vec<String> {
            of_list(list, root)
                .iter()
                .map(|(pid, argv)| format!("{pid} {}", argv.join(" ")))
                .collect()
        };
        assert_eq!(names(10), ["20 sh ./wrapper", "21 claude -p hi", "22 node x"]);
        assert_eq!(names(22), [""; 0]);
        // A list that was made while numbers were given anew may bite its tail.
        assert_eq!(of_list("1 2 a\n2 1 b\n", 1).len(), 2);
    }

    #[test]
    fn a_list_has_a_limited_length() {
        for (lines, found) in [(PROCESSES_MAX, PROCESSES_MAX), (PROCESSES_MAX + 1, PROCESSES_MAX)] {
            assert_eq!(of_list(&"2 1 a\n".repeat(lines), 1).len(), found);
        }
    }

    /// Both ways of asking find the same program.
    #[test]
    fn a_child_is_found_with_its_arguments() {
        let mut shell = Command::new("sh");
        // The shell ends with its program.
        shell.args(["-c", "sleep 864 & echo $!; wait"]).stdout(Stdio::piped());
        let mut shell = shell.spawn().expect("sh");
        let mut line = String::new();
        let stdout = shell.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a number");
        let pid: i32 = line.trim().parse().expect("a number");
        let root = i32::try_from(shell.id()).expect("a number");
        // The shell has forked, and its child becomes the program soon.
        while argv(pid).is_some_and(|argv| argv.first().is_some_and(|word| word == "sh")) {
            std::thread::yield_now();
        }
        let wanted = (pid, vec!["sleep".to_owned(), "864".to_owned()]);
        let found = [below(root), listed(root)].map(|list| list.contains(&wanted));
        Command::new("kill").arg(pid.to_string()).status().expect("kill");
        shell.wait().expect("it ends");
        assert_eq!(found, [true; 2]);
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let environment = ["HOMES=/x", "HOME=/h=1", "EMPTY=", "odd"].map(OsString::from);
        for (name, value) in
            [("HOME", Some("/h=1")), ("EMPTY", Some("")), ("odd", None), ("HO", None)]
        {
            assert_eq!(variable(&environment, name), value.map(OsString::from), "{name}");
        }
    }
}
