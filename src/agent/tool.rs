//! What can be said of a tool call from its name and its arguments alone, whoever made it.

use crate::event::{ToolCall, ToolCategory};
use crate::json::Value;

/// The longest title, in characters.
pub const TITLE_LEN_MAX: usize = 200;
/// The most paths kept of one call.
pub const PATHS_MAX: usize = 1000;

use ToolCategory::{Plan, Read, Search, Shell, Task, Web, Write};

/// Names of tools in lower case without `_` and `-`, over all agents.
const CATEGORIES: &[(ToolCategory, &[&str])] = &[
    (
        Shell,
        &[
            "bash",
            "shell",
            "shellcommand",
            "exec",
            "execcommand",
            "runshellcommand",
            "runcommands",
            "localshell",
            "localshellcall",
            "executecommand",
            "runterminalcmd",
            "terminal",
            "writestdin",
            "bashoutput",
            "killshell",
            "readbash",
            "stopbash",
            "writebash",
            "powershell",
        ],
    ),
    (
        Read,
        &["read", "view", "readfile", "readmanyfiles", "readfiles", "notebookread", "viewimage"],
    ),
    (
        Write,
        &[
            "write",
            "edit",
            "multiedit",
            "writefile",
            "create",
            "replace",
            "editor",
            "applypatch",
            "notebookedit",
            "strreplaceeditor",
            "strreplace",
            "patch",
            "writetofile",
            "editfile",
            "replaceinfile",
            "searchreplace",
            "delete",
            "deletefile",
        ],
    ),
    (
        Search,
        &[
            "grep",
            "glob",
            "ls",
            "list",
            "listdirectory",
            "listdir",
            "search",
            "searchfilecontent",
            "searchfiles",
            "codebasesearch",
            "find",
            "findfiles",
            "filesearch",
            "toolsearch",
            "lsp",
        ],
    ),
    (Web, &["webfetch", "websearch", "fetch", "googlewebsearch", "fetchurl", "websearchcall"]),
    (Task, &["task", "agent", "spawnagent", "subagent", "delegate", "sendmessage", "waitagent"]),
    (
        Plan,
        &[
            "todowrite",
            "todoread",
            "taskcreate",
            "taskupdate",
            "tasklist",
            "taskget",
            "updateplan",
            "writetodos",
            "settodolist",
            "updatetodolist",
            "exitplanmode",
            "enterplanmode",
        ],
    ),
];

/// Members of arguments that name files.
const PATH_NAMES: &[&str] =
    &["file_path", "filePath", "path", "notebook_path", "absolute_path", "file", "target_file"];
/// Members of arguments that say in one line what a call is about, best first.
const TITLE_NAMES: &[&str] = &[
    "command",
    "cmd",
    "commands",
    "file_path",
    "filePath",
    "path",
    "absolute_path",
    "target_file",
    "pattern",
    "query",
    "url",
    "description",
    "subject",
    "prompt",
    "message",
];

/// A call with all that its name and arguments tell.
pub(crate) fn call(call_id: Option<&str>, name: &str, args: Value) -> ToolCall {
    let paths = paths(&args);
    ToolCall {
        call_id: call_id.map(str::to_owned),
        name: name.to_owned(),
        category: Some(category(name)),
        title: title(&args).map(|title| named(title, &paths)),
        paths,
        args,
        within: None,
    }
}

/// What kind of work the tool `name` does.
pub fn category(name: &str) -> ToolCategory {
    if name.starts_with("mcp__") || name.starts_with("mcp_") {
        return ToolCategory::Mcp;
    }
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    let known = CATEGORIES.iter().find(|(_, names)| names.contains(&plain.as_str()));
    known.map_or(ToolCategory::Other, |(category, _)| *category)
}

/// A patch is told by its files: all begin alike.
fn named(title: String, paths: &[String]) -> String {
    match paths {
        [first, rest @ ..] if title.starts_with("*** Begin Patch") => {
            let more = if rest.is_empty() { String::new() } else { format!(" +{}", rest.len()) };
            format!("{first}{more}")
        }
        _ => title,
    }
}

fn title(args: &Value) -> Option<String> {
    let text = match args {
        Value::String(text) => text.as_str(),
        _ => TITLE_NAMES.iter().find_map(|name| match args.get(name)? {
            Value::String(text) => Some(text.as_str()),
            Value::Array(items) => items.first()?.as_str(),
            _ => None,
        })?,
    };
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(TITLE_LEN_MAX).collect())
}

fn paths(args: &Value) -> Vec<String> {
    if let Value::String(text) = args {
        return patch_paths(text);
    }
    let mut paths: Vec<String> = Vec::new();
    for name in PATH_NAMES {
        if let Some(path) = args.str_at(name).filter(|path| !paths.iter().any(|p| p == path)) {
            paths.push(path.to_owned());
        }
    }
    let many = args.get("paths").map_or(&[][..], Value::items);
    paths.extend(many.iter().filter_map(Value::as_str).map(str::to_owned));
    if let Some(changes) = args.get("changes").and_then(Value::as_object) {
        paths.extend(changes.iter().map(|(path, _)| path.to_owned()));
    }
    paths.truncate(PATHS_MAX);
    paths
}

/// The files that a patch in the format of `apply_patch` names.
fn patch_paths(patch: &str) -> Vec<String> {
    let heads = ["*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: "];
    let named = |line: &str| {
        heads.iter().find_map(|head| line.strip_prefix(head)).map(|path| path.trim().to_owned())
    };
    patch.lines().filter_map(named).take(PATHS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn check(name: &str, args: &str, expected: &str) {
        let call = call(None, name, parse(args.as_bytes()).expect(args));
        let category = call.category.map_or("", ToolCategory::as_str);
        let title = call.title.unwrap_or_default();
        assert_eq!(format!("{category} [{title}] {}", call.paths.join(" ")).trim(), expected);
    }

    #[test]
    fn a_call_tells_its_category_title_and_paths() {
        check("Bash", r#"{"command":"ls","description":"List files"}"#, "shell [ls]");
        check("write_file", r#"{"file_path":"/a","content":"x"}"#, "write [/a] /a");
        check("run_commands", r#"{"commands":["ls","pwd"]}"#, "shell [ls]");
        check("mcp__db__query", r#"{"query":"select 1"}"#, "mcp [select 1]");
        check(
            "apply_patch",
            r#""*** Begin Patch\n*** Add File: a b.py\n+x\n*** End Patch""#,
            "write [a b.py] a b.py",
        );
        check("frobnicate", "null", "other []");
    }

    #[test]
    fn titles_and_paths_have_limits() {
        for extra in [0, 1] {
            let long = "é".repeat(TITLE_LEN_MAX + extra);
            let call = call(None, "Bash", Value::from(long));
            assert_eq!(call.title.map(|t| t.chars().count()), Some(TITLE_LEN_MAX));
            let many: Vec<String> = (0..PATHS_MAX + extra).map(|n| n.to_string()).collect();
            let args = crate::json::Object::from_iter([("paths", Value::from(many))]);
            assert_eq!(super::call(None, "Read", args.into()).paths.len(), PATHS_MAX);
        }
    }
}
