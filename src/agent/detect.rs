//! Which agent a command line starts, in which session, and how to go back into one.

use super::{AGENTS, Agent};

/// Programs that start another one, each with those of its options that take a value.
const WRAPPERS: &[(&str, &[&str])] = &[
    (
        "sudo",
        &["-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "-U", "--user", "--group", "--chdir"],
    ),
    ("doas", &["-u", "-C"]),
    ("env", &["-u", "--unset", "-C", "--chdir"]),
    ("nice", &["-n", "--adjustment"]),
    ("ionice", &["-c", "-n", "--class", "--classdata"]),
    ("stdbuf", &["-i", "-o", "-e"]),
    ("timeout", &["-s", "-k", "--signal", "--kill-after"]),
    ("nohup", &[]),
    ("time", &["-f", "-o"]),
    ("setsid", &[]),
    ("caffeinate", &["-t", "-w"]),
    ("command", &[]),
    ("exec", &["-a"]),
    ("npx", &["-p", "--package", "-c", "--call", "-w", "--workspace"]),
    ("bunx", &["-p", "--package"]),
    ("uvx", &["--from", "--with", "-p", "--python", "--index-url"]),
    ("node", &["-r", "--require", "--import", "--loader"]),
    ("bun", &[]),
    ("python", &["-m", "-W", "-X"]),
    ("python3", &["-m", "-W", "-X"]),
];
/// Words that stand between a package runner and the package.
const RUNNER_WORDS: &[&str] = &["dlx", "exec", "x", "run", "tool"];
const RUNNERS: &[&str] = &["pnpm", "yarn", "npm", "pipx", "uv", "bun"];
/// The shortest session id that is taken from a screen.
const ID_LEN_MIN: usize = 8;

/// An agent on a command line.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Which one.
    pub agent: &'static Agent,
    /// How many words stand before the agent's own arguments.
    pub skipped: usize,
    /// The session that the words name.
    pub session: Option<String>,
    /// The words go on with an earlier session, named or not.
    pub goes_on: bool,
    /// The prompt on the command line.
    pub prompt: Option<String>,
}

/// How an agent's command line speaks of sessions and prompts.
#[derive(Debug)]
pub struct Words {
    /// Options that name a session to go on with: `--resume ID`, `--resume=ID`.
    pub resume: &'static [&'static str],
    /// Options that name a new session.
    pub session: &'static [&'static str],
    /// Subcommands that name a session: `resume ID`.
    pub subcommands: &'static [&'static str],
    /// Options that go on with the newest session.
    pub latest: &'static [&'static str],
    /// Options whose value, or next operand, is the prompt.
    pub prompt: &'static [&'static str],
    /// The command that goes back into a session; its id is added, to the last word where that ends
    /// in `=`. Empty where an agent has no ids.
    pub back: &'static [&'static str],
}

/// The agent that `argv` starts, through `sudo`, `env`, `npx` and their like. None for any other
/// program.
pub fn detect(argv: &[String]) -> Option<Invocation> {
    let mut at = 0;
    while let Some(word) = argv.get(at) {
        let name = base(word);
        if let Some(agent) = AGENTS.iter().find(|a| starts(a, word, name)) {
            return Some(invocation(agent, at + 1, &argv[at + 1..]));
        }
        if RUNNERS.contains(&name)
            && argv.get(at + 1).is_some_and(|w| RUNNER_WORDS.contains(&w.as_str()))
        {
            at += 1;
            while argv
                .get(at)
                .is_some_and(|w| RUNNER_WORDS.contains(&w.as_str()) || w.starts_with('-'))
            {
                at += 1;
            }
            continue;
        }
        let (_, valued) = WRAPPERS.iter().find(|(wrapper, _)| *wrapper == name)?;
        at = after_wrapper(argv, at + 1, name, valued);
    }
    None
}

/// Whether the word is the agent's program, its package, or a script inside its package.
fn starts(agent: &Agent, word: &str, name: &str) -> bool {
    let unversioned = match word.rfind('@') {
        Some(at) if at > 0 => &word[..at],
        _ => word,
    };
    agent.programs.contains(&name)
        || agent.packages.contains(&unversioned)
        || agent.packages.iter().any(|p| p.contains('/') && word.contains(&format!("/{p}/")))
}

fn base(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    [".exe", ".cmd", ".js"].iter().find_map(|tail| name.strip_suffix(tail)).unwrap_or(name)
}

/// The first word after a wrapper's own.
fn after_wrapper(argv: &[String], mut at: usize, name: &str, valued: &[&str]) -> usize {
    while let Some(word) = argv.get(at) {
        if word == "--" {
            return at + 1;
        }
        let module = name.starts_with("python") && word == "-m";
        if module {
            return at + 1;
        }
        let assignment = name == "env" && word.contains('=') && !word.starts_with('-');
        if word.starts_with('-') {
            at += 1 + usize::from(valued.contains(&word.as_str()));
        } else if assignment {
            at += 1;
        } else {
            break;
        }
    }
    // `timeout 10 claude`: the duration is an operand.
    at + usize::from(name == "timeout")
}

fn invocation(agent: &'static Agent, skipped: usize, args: &[String]) -> Invocation {
    let words = agent.words;
    let (session, goes_on) = session_of(words, args);
    let latest = args.iter().any(|arg| words.latest.contains(&arg.as_str()));
    Invocation {
        agent,
        skipped,
        session,
        goes_on: goes_on || latest,
        prompt: prompt_of(words, args),
    }
}

/// The session that arguments name, and whether they go on with it.
fn session_of(words: &Words, args: &[String]) -> (Option<String>, bool) {
    for (at, arg) in args.iter().enumerate() {
        let next = || args.get(at + 1).filter(|n| !n.starts_with('-')).cloned();
        for (options, goes_on) in [(words.resume, true), (words.session, false)] {
            if options.contains(&arg.as_str()) {
                return (next(), goes_on);
            }
            let inline = options.iter().find_map(|o| arg.strip_prefix(o)?.strip_prefix('='));
            if let Some(id) = inline {
                return (Some(id.to_owned()), goes_on);
            }
        }
        // `resume ID`, `exec resume ID`; further on it is a word of a prompt.
        let first = at == 0 || (at == 1 && words.prompt.contains(&args[0].as_str()));
        if first && words.subcommands.contains(&arg.as_str()) {
            return (next(), true);
        }
    }
    (None, false)
}

/// The prompt after an option or a subcommand that announces one. What stands right behind another
/// option may be its value; it is taken only where there is nothing better.
fn prompt_of(words: &Words, args: &[String]) -> Option<String> {
    let inline = |arg: &String| {
        words.prompt.iter().find_map(|o| arg.strip_prefix(o)?.strip_prefix('=').map(str::to_owned))
    };
    if let Some(prompt) = args.iter().find_map(inline) {
        return Some(prompt);
    }
    let at = args.iter().position(|arg| words.prompt.contains(&arg.as_str()))?;
    let mut rest = &args[at + 1..];
    if rest.first().is_some_and(|word| words.subcommands.contains(&word.as_str())) {
        rest = rest.get(2..).unwrap_or_default();
    }
    let operand = |i: &usize| !rest[*i].starts_with('-');
    let free = |i: &usize| *i == 0 || operand(&(*i - 1));
    let found = (0..rest.len()).filter(operand).find(free);
    found.or_else(|| (0..rest.len()).rev().find(operand)).map(|i| rest[i].clone())
}

/// The command that goes back into session `id`. None for an agent without ids, and for an id that
/// is no word (a recording could hold anything).
pub fn resume_command(agent: &Agent, id: &str) -> Option<Vec<String>> {
    if !is_id(id) {
        return None;
    }
    let mut command: Vec<String> = agent.words.back.iter().map(|w| (*w).to_owned()).collect();
    match command.last_mut()? {
        last if last.ends_with('=') => last.push_str(id),
        _ => command.push(id.to_owned()),
    }
    Some(command)
}

/// The session id in the hint that an agent prints when it ends ("To continue this session, run
/// codex resume …"), from the text of the last screen. The last hint counts: an agent may start
/// itself anew.
pub fn hint(agent: &Agent, screen: &str) -> Option<String> {
    screen.lines().rev().find_map(|line| {
        let frame = |c: char| c.is_whitespace() || matches!(c, '│' | '┃' | '|' | '`' | '"' | '\'');
        let words: Vec<String> =
            line.split(frame).filter(|w| !w.is_empty()).map(str::to_owned).collect();
        let at = words.iter().position(|word| agent.programs.contains(&base(word)))?;
        let (id, goes_on) = session_of(agent.words, &words[at + 1..]);
        let id = id?.trim_end_matches(['.', ',']).to_owned();
        // Prose has `claude --resume <id>`, and lists have `--resume latest`.
        let real = id.len() >= ID_LEN_MIN && id.bytes().any(|b| b.is_ascii_digit());
        (goes_on && real && is_id(&id)).then_some(id)
    })
}

fn is_id(id: &str) -> bool {
    !id.is_empty()
        && !id.starts_with('-')
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// `agent skipped session goes_on prompt`, or nothing.
    fn check(line: &str, expected: &str) {
        let seen = detect(&words(line)).map_or(String::new(), |i| {
            format!(
                "{} {} {} {} {}",
                i.agent.name,
                i.skipped,
                i.session.as_deref().unwrap_or("-"),
                i.goes_on,
                i.prompt.as_deref().unwrap_or("-")
            )
        });
        assert_eq!(seen, expected, "{line}");
    }

    #[test]
    fn agents_are_found_behind_wrappers() {
        check("claude", "claude 1 - false -");
        check("/usr/local/bin/codex --no-daemon", "codex 1 - false -");
        check("sudo -u me -E env A=1 B=2 nohup claude -p hi", "claude 9 - false hi");
        check("env -u X -i gemini", "gemini 5 - false -");
        check("npx -y @anthropic-ai/claude-code@2.1.0 --resume x1", "claude 3 x1 true -");
        check("pnpm dlx @openai/codex resume 01a1", "codex 3 01a1 true -");
        check("npm exec -- @google/gemini-cli", "gemini 4 - false -");
        check("uvx --from aider-chat aider --message hi", "aider 4 - false hi");
        check("uv tool run aider", "aider 4 - false -");
        check("python3 -m aider", "aider 3 - false -");
        check("node /x/node_modules/@openai/codex/bin/codex.js", "codex 2 - false -");
        check("timeout -k 5 10 opencode run hi", "opencode 5 - false hi");
        check("time nice -n 5 cursor-agent", "cursor 5 - false -");
        check("bash -c claude", "");
        check("vim claude", "");
        check("sudo", "");
        check("", "");
        check("cargo test", "");
    }

    #[test]
    fn sessions_are_read_from_the_words() {
        check("claude --resume abc", "claude 1 abc true -");
        check("claude -r", "claude 1 - true -");
        check("claude -c -p go", "claude 1 - true go");
        check("claude --session-id=u1", "claude 1 u1 false -");
        check("codex exec resume u2 go", "codex 1 u2 true go");
        check("codex fork u3", "codex 1 u3 true -");
        check("codex exec -m gpt go", "codex 1 - false go");
        check("codex exec --json go", "codex 1 - false go");
        check("claude -p --output-format stream-json --verbose go", "claude 1 - false go");
        check("gemini --prompt=go", "gemini 1 - false go");
        check("codex please resume work", "codex 1 - false -");
        check("opencode -s ses_1 --fork", "opencode 1 ses_1 true -");
        check("copilot --resume=u4", "copilot 1 u4 true -");
        check("kimi -r session_5", "kimi 1 session_5 true -");
        check("cline --id 17_x hi", "cline 1 17_x true -");
        check("aider --restore-chat-history", "aider 1 - true -");
    }

    #[test]
    fn resume_commands_are_built_and_recognised() {
        let id = "01a1fb3d-fd6f-7461-98ee-9d6f0e5beb66";
        for agent in AGENTS.iter().filter(|a| !a.words.back.is_empty()) {
            let command = resume_command(agent, id).expect(agent.name);
            let found = detect(&command).expect(agent.name);
            assert_eq!((found.agent.name, found.session.as_deref()), (agent.name, Some(id)));
            assert!(found.goes_on, "{}", agent.name);
            let screen = format!("bye\n│  To go on:  {}  │\n\n", command.join(" "));
            assert_eq!(hint(agent, &screen).as_deref(), Some(id), "{}", agent.name);
            assert_eq!(resume_command(agent, "x; rm -rf /"), None);
        }
    }

    /// Last screens, as the agents painted them.
    #[test]
    fn real_hints_are_read() {
        let codex = "To continue this session, run:\n  codex resume 01a1fb3d-fd6f-7461-98ee-9d6f0e5beb66\nOr run codex resume and select Add API rate limiting.\n";
        for (agent, screen, id) in [
            ("codex", codex, "01a1fb3d-fd6f-7461-98ee-9d6f0e5beb66"),
            (
                "claude",
                "Resume this session with:\nclaude --resume 6e8920b9-45a6-4d0f-bbbc-ea519d889205\n",
                "6e8920b9-45a6-4d0f-bbbc-ea519d889205",
            ),
            ("cline", "  Continue  cline --id 1795218087880_2hoih", "1795218087880_2hoih"),
            (
                "copilot",
                "   ▔▔▔▔    Resume     copilot --resume=9ae3c8e5-b9f9-4934-adcc-750c2c027c36",
                "9ae3c8e5-b9f9-4934-adcc-750c2c027c36",
            ),
            (
                "gemini",
                "│  To resume this session: gemini --resume 99437048-3009-4d9a-8dad-5402d1261574      │",
                "99437048-3009-4d9a-8dad-5402d1261574",
            ),
            (
                "kimi",
                " To resume this session: kimi -r session_1e77d494-2197-4d5b-8538-1013385a005a",
                "session_1e77d494-2197-4d5b-8538-1013385a005a",
            ),
            (
                "opencode",
                "  Continue  opencode -s ses_e04b8901fffe2pWGK4RkhK3L5J",
                "ses_e04b8901fffe2pWGK4RkhK3L5J",
            ),
            (
                "qwen",
                "  To continue this session, run qwen --resume 329268ba-0574-4b69-92e6-a26a2c3e1b12",
                "329268ba-0574-4b69-92e6-a26a2c3e1b12",
            ),
        ] {
            let agent = super::super::by_name(agent).expect(agent);
            assert_eq!(hint(agent, screen).as_deref(), Some(id), "{}", agent.name);
        }
    }

    #[test]
    fn hints_in_prose_are_no_hints() {
        let claude = super::super::by_name("claude").expect("claude");
        for text in [
            "claude --resume <uuid>",
            "claude --resume latest",
            "claude --resume",
            "",
            "codex resume 01a1fb3d-fd6f",
        ] {
            assert_eq!(hint(claude, text), None, "{text}");
        }
        let twice = "claude --resume 11111111-a\nclaude --worktree w --resume 22222222-b.\n";
        assert_eq!(hint(claude, twice).as_deref(), Some("22222222-b"));
    }
}
