//! The functions of `il shell-init`, in the real shells.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::house::House;
use crate::plain::{Scratch, il_path, program, run, stdout};

/// Stands in for an agent: says what it was given, and ends with 3.
const CLAUDE: &str = "#!/bin/sh\nprintf 'claude <%s>\\n' \"$@\"\nexit 3\n";

/// Each shell, and how it takes what `il shell-init` prints.
const SHELLS: &[(&str, &[&str], &str)] = &[
    ("bash", &["--norc", "-O", "expand_aliases", "-c"], "eval \"$(il @HOME@ shell-init bash)\""),
    ("zsh", &["-f", "-o", "aliases", "-c"], "eval \"$(il @HOME@ shell-init zsh)\""),
    ("fish", &["--no-config", "-c"], "il @HOME@ shell-init fish | source"),
];

fn check(home: Option<&str>) {
    for (shell, options, load) in SHELLS {
        let house = House::new();
        let scratch = Scratch::new();
        let bin = scratch.path();
        fs::write(bin.join("claude"), CLAUDE).expect("an agent");
        fs::set_permissions(bin.join("claude"), fs::Permissions::from_mode(0o755)).expect("mode");
        symlink(il_path(), bin.join("il")).expect("a link");
        let dir = home.map(|name| bin.join(name));
        let option = match &dir {
            // In double quotes for all three shells: nothing in the names expands there.
            Some(dir) => format!("--home \"{}\"", dir.display()),
            None => String::new(),
        };
        let status = if *shell == "fish" { "$status" } else { "$?" };
        let load = load.replace("@HOME@", &option);
        let script = format!("{load}\nclaude one 'two words'\necho {status}\ncodex");
        let mut command = program(shell);
        command.args(*options).arg(&script).env("INTENTLOOP_HOME", house.dir());
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command.env("HOME", bin).current_dir(bin);
        let output = run(&mut command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said, "claude <one>\nclaude <two words>\n3\n", "{shell}: {errors}");
        // What is not installed is as unknown as it was, and il has no part in saying so.
        assert!(errors.contains("codex") && !errors.contains("il run"), "{shell}: {errors}");
        assert_eq!(output.status.code(), Some(127), "{shell}: {errors}");

        let mut list = house.il(&["list", "--json"]);
        if let Some(dir) = &dir {
            assert!(!house.file().exists(), "{shell}");
            list.arg("--home").arg(dir);
        }
        let list = stdout(&mut list);
        let session: serde_json::Value = serde_json::from_str(&list).expect("one session");
        assert_eq!(session["command"], "claude one 'two words'", "{shell}");
        assert_eq!(session["agent"], "claude", "{shell}");

        // Without il the agent is started as if nothing were.
        fs::remove_file(bin.join("il")).expect("a file");
        let script = script.replace(&format!("il {option} "), &format!("$IL {option} "));
        let mut command = program(shell);
        command.args(*options).arg(&script).env("INTENTLOOP_HOME", house.dir());
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command.env("HOME", bin).env("IL", il_path()).current_dir(bin);
        let output = run(&mut command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "claude <one>\nclaude <two words>\n3\n", "{shell} without il");
    }
}

#[test]
fn a_plain_agent_is_recorded() {
    check(None);
}

/// The store may have been named, and its name may be anything.
#[test]
fn the_functions_keep_to_the_store_that_was_named() {
    check(Some("it's a \\x {home} @AGENTS@"));
}

/// bash and zsh expand the alias before the function is asked: what it stands for is recorded.
#[test]
fn an_alias_of_the_same_name_does_no_harm() {
    for (shell, options, load) in SHELLS.iter().filter(|(shell, ..)| *shell != "fish") {
        let house = House::new();
        let scratch = Scratch::new();
        let bin = scratch.path();
        fs::write(bin.join("claude"), CLAUDE).expect("an agent");
        fs::set_permissions(bin.join("claude"), fs::Permissions::from_mode(0o755)).expect("mode");
        symlink(il_path(), bin.join("il")).expect("a link");
        let load = load.replace("@HOME@ ", "");
        let script = format!("alias claude='claude --first'\n{load}\neval 'claude second'");
        let mut command = program(shell);
        command.args(*options).arg(script).env("INTENTLOOP_HOME", house.dir());
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        let output = run(&mut command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "claude <--first>\nclaude <second>\n", "{shell}: {output:?}");
        assert_eq!(house.ids().len(), 1, "{shell}");
    }
}
