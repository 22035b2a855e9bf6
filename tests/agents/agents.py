"""The agents: how each is set up for the mock, driven by keys, and run in one go."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

KEY = "sk-test-0000"


@dataclass
class Agent:
    """One agent, as a table row."""

    name: str
    # Environment, with {port}, {home} and {cwd} filled in.
    env: dict
    # Command lines after the program's name: on a terminal, and in one go with {prompt}.
    keys: list
    one_shot: list
    # Writes its settings: (home, port, cwd).
    setup: object
    # What the screen shows when it waits for a prompt.
    ready: str
    # What it shows when it asks for permission, and the keys that grant and refuse it.
    asks: str
    allow: list = field(default_factory=lambda: ["enter"])
    refuse: list = field(default_factory=lambda: ["esc"])
    # Screens before the prompt that want keys: (pattern, keys).
    greetings: list = field(default_factory=list)
    interrupt: list = field(default_factory=lambda: ["esc"])
    leave: str = "/exit"
    # It has no tools, and takes its edits from the text.
    edits_in_text: bool = False
    # It puts a prompt of several words from its command line into quotes.
    quotes_prompt: bool = False
    # To refuse a call is to interrupt it.
    refusal_interrupts: bool = False
    # Turns it cannot be driven through, and why.
    cannot: dict = field(default_factory=dict)
    # What it does not tell, in all phases or in one ("column phase"), and why; said in the table.
    lacks: dict = field(default_factory=dict)


def write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text, indent=1))


def claude(home, port, cwd):
    write(f"{home}/.claude.json", {
        "hasCompletedOnboarding": True, "theme": "dark",
        "customApiKeyResponses": {"approved": [KEY[-20:]]},
        "projects": {cwd: {"hasTrustDialogAccepted": True}}})


def codex(home, port, cwd):
    write(f"{home}/.codex/config.toml", f"""\
model = "gpt-5.5"
model_provider = "mock"
check_for_update_on_startup = false
model_reasoning_summary = "detailed"
model_reasoning_effort = "medium"
approval_policy = "on-request"
sandbox_mode = "workspace-write"
[analytics]
enabled = false
[model_providers.mock]
name = "mock"
base_url = "http://127.0.0.1:{port}/v1"
env_key = "MOCK_KEY"
wire_api = "responses"
[tui]
screen_reader_detection_done = true
[notice.model_migrations]
"gpt-5.5" = "gpt-6-sol"
[projects."{cwd}"]
trust_level = "trusted"
""")


def gemini(home, port, cwd):
    write(f"{home}/.gemini/settings.json", {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False},
        "model": {"name": "gemini-2.5-pro"}, "ui": {"hideTips": True}})


def opencode(home, port, cwd):
    write(f"{home}/.config/opencode/opencode.json", {
        "autoupdate": False, "share": "disabled", "model": "mock/mock-model",
        "small_model": "mock/mock-small",
        "provider": {"mock": {
            "npm": "@ai-sdk/openai-compatible", "name": "Mock",
            "options": {"baseURL": f"http://127.0.0.1:{port}/v1", "apiKey": KEY},
            "models": {"mock-model": {"name": "Mock Model", "tool_call": True, "reasoning": True,
                                      "limit": {"context": 200000, "output": 8000}},
                       "mock-small": {"name": "Mock Small"}}}},
        "permission": {"bash": "ask", "edit": "ask"}})


def copilot(home, port, cwd):
    write(f"{home}/.copilot/config.json", {"trusted_folders": [cwd]})


def qwen(home, port, cwd):
    write(f"{home}/.qwen/settings.json", {
        "security": {"auth": {"selectedType": "openai"}, "folderTrust": {"enabled": False}},
        "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False},
        "memory": {"enableManagedAutoMemory": False},
        "model": {"name": "mock-model"}, "$version": 4})


def kimi(home, port, cwd):
    write(f"{home}/.kimi-code/config.toml", f"""\
default_model = "mock"
telemetry = false
[providers.mock]
type = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "{KEY}"
[models.mock]
provider = "mock"
model = "mock-model"
max_context_size = 200000
capabilities = ["thinking", "tool_use"]
""")


def cline(home, port, cwd):
    import subprocess
    subprocess.run(
        ["cline", "auth", "-p", "openai", "-k", KEY, "-m", "mock-model",
         "-b", f"http://127.0.0.1:{port}/v1"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=cwd)


def nothing(home, port, cwd):
    pass


# Nothing but the mock can be reached; clients that would ask a proxy for the loopback get none.
CLOSED = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost",
          "no_proxy": "127.0.0.1,localhost"}

AGENTS = [
    Agent(
        "claude",
        env={"ANTHROPIC_BASE_URL": "http://127.0.0.1:{port}", "ANTHROPIC_API_KEY": KEY,
             "DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1", "DISABLE_AUTOUPDATER": "1",
             "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "IS_SANDBOX": "1",
             "NO_PROXY": "127.0.0.1,localhost"},
        keys=[], one_shot=["-p", "{prompt}", "--dangerously-skip-permissions"], setup=claude,
        ready=r"\? for shortcuts|❯", asks=r"Do you want to",
        greetings=[(r"trust this folder|Do you trust|Is this a project", ["enter"])],
        refusal_interrupts=True,
        lacks={"reasoning": "its API counts no reasoning apart"},
    ),
    Agent(
        "codex", env=CLOSED | {"MOCK_KEY": KEY},
        keys=[], one_shot=["exec", "--dangerously-bypass-approvals-and-sandbox", "{prompt}"], setup=codex,
        ready=r"Ask Codex", asks=r"Would you like to",
        greetings=[(r"Do you trust|trust the contents|Trust this folder", ["enter"])],
        leave="/quit", refusal_interrupts=True,
    ),
    Agent(
        "gemini",
        env=CLOSED | {"GEMINI_API_KEY": "test-0000", "GEMINI_TELEMETRY_ENABLED": "false",
                      "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:{port}"},
        keys=[], one_shot=["-p", "{prompt}", "--yolo"], setup=gemini,
        ready=r"Type your message", asks=r"Apply this change\?|Allow execution",
        leave="/quit", refusal_interrupts=True,
    ),
    Agent(
        "opencode",
        env=CLOSED | {f"OPENCODE_DISABLE_{what}": "1" for what in
                      ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS")},
        keys=[], one_shot=["run", "--auto", "{prompt}"], setup=opencode,
        ready=r"Ask anything|ctrl\+p", asks=r"Permission required",
        refuse=["right", "right", "enter", "settle", "enter"], interrupt=["esc", "esc"],
        quotes_prompt=True,
    ),
    Agent(
        "copilot",
        env=CLOSED | {"COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:{port}/v1",
                      "COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_API_KEY": KEY,
                      "COPILOT_MODEL": "mock-model", "COPILOT_OFFLINE": "true",
                      "COPILOT_AUTO_UPDATE": "false"},
        keys=[], one_shot=["-p", "{prompt}", "--allow-all-tools"], setup=copilot,
        ready=r"Describe a task|/ commands", asks=r"Do you want to",
        greetings=[(r"Do you trust|trust the files", ["enter"])],
    ),
    Agent(
        "qwen",
        env={"OPENAI_BASE_URL": "http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": KEY,
             "OPENAI_MODEL": "mock-model"},
        keys=[], one_shot=["-p", "{prompt}", "--yolo"], setup=qwen,
        ready=r"Type your message", asks=r"Apply this change\?|Allow execution", leave="/quit",
    ),
    Agent(
        "kimi",
        env={"KIMI_DISABLE_TELEMETRY": "1", "KIMI_CODE_NO_AUTO_UPDATE": "1",
             "DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1,localhost"},
        keys=[], one_shot=["-p", "{prompt}"], setup=kimi,
        ready=r"context:", asks=r"Approve once",
        lacks={"reasoning": "its wire log does not say how much was reasoning"},
        greetings=[(r"[Tt]rust this|Do you trust", ["enter"])],
    ),
    Agent(
        "cline",
        env=CLOSED | {"CLINE_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1",
                      "DISABLE_TELEMETRY": "1", "CLINE_NO_AUTO_UPDATE": "1"},
        keys=["--auto-approve", "false"], one_shot=["{prompt}"], setup=cline,
        ready=r"Ask anything|What can I do for you", asks=r"Approve tool call\?", allow=["y"], refuse=["n"],
        greetings=[(r"ClinePass", ["esc"])],
        lacks={"reasoning": "its messages do not say how much was reasoning"},
    ),
    Agent(
        "aider",
        env=CLOSED | {"OPENAI_API_BASE": "http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": KEY,
                      "AIDER_ANALYTICS_DISABLE": "true", "AIDER_CHECK_UPDATE": "false",
                      "AIDER_SHOW_RELEASE_NOTES": "false", "AIDER_ANALYTICS": "false",
                      "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        keys=["--model", "openai/mock-model", "--edit-format", "diff", "--no-show-model-warnings",
              "--no-gitignore"],
        one_shot=["--model", "openai/mock-model", "--edit-format", "diff", "--yes-always", "--no-stream",
                  "--no-show-model-warnings", "--no-gitignore", "--message", "{prompt}"],
        setup=nothing, ready=r"(?m)^diff>", asks=r"\(Y\)es/\(N\)o[^\n]*:\s*\Z",
        allow=["y", "enter"], refuse=["n", "enter"], interrupt=["ctrl-c"], edits_in_text=True,
        lacks={"reasoning": "it writes down what was sent and received, no more",
               "cached": "it writes down what was sent and received, no more",
               "tokens keys": "it guesses the tokens of an answer that is streamed",
               "tokens resume": "it guesses the tokens of an answer that is streamed",
               "thoughts one-shot": "it writes down no reasoning of an answer that comes whole",
               "approvals one-shot": "what --yes-always answers looks as if a person did"},
        cannot={"fail": "has no tools", "allow": "has no tools", "refuse": "has no tools",
                "slow": "leaves no word of an interruption but what was said"},
    ),
]
