"""What should have been recovered from a run, what has been, and the table of both."""

import difflib
import json
from dataclasses import dataclass, field

COLUMNS = ["turns", "thoughts", "texts", "calls", "approvals", "interrupts", "errors", "tokens"]


def expected(script, turns, agent):
    """What the turns should yield: column to list.

    `turns` is [(name, steps served, decisions)], as they were played. Of an answer that was
    interrupted nothing is promised but that it was.
    """
    out = {column: [] for column in COLUMNS}
    out["tokens"] = {"in": 0, "cached": 0, "out": 0, "reasoning": 0}
    for name, steps, decisions in turns:
        turn = script["turns"][name]
        out["turns"].append(turn["prompt"])
        out["approvals"] += decisions
        script_steps = turn["steps"]
        if agent.edits_in_text:
            script_steps = turn.get("steps_without_tools", script_steps)
        if agent.refusal_interrupts:
            out["interrupts"] += [name for decision in decisions if decision == "reject"]
        for number in steps:
            step = script_steps[number]
            if "error" in step:
                out["errors"].append(step["error"]["message"])
            if "pause_s" in step:
                out["interrupts"].append(name)
                continue
            if "thought" in step:
                out["thoughts"].append(step["thought"])
            if "text" in step:
                out["texts"].append(step["text"].strip())
            for call in step.get("calls", []):
                outcome = "ok"
                if "reject" in decisions:
                    outcome = "not ok"
                elif "missing" in call.get("shell", ""):
                    outcome = "not ok"
                out["calls"].append(f"{call_words(call)} {outcome}")
            for key, n in zip(out["tokens"], step.get("usage", [])):
                out["tokens"][key] += n
    return out


def call_words(call):
    return f"shell {call['shell']}" if "shell" in call else f"write {call['write']}"


def recovered(events, script):
    """The same of a session's events."""
    out = {column: [] for column in COLUMNS}
    main = [e for e in events if e.get("stream", "main") == "main"]
    results = {e.get("call_id"): e for e in main if e["kind"] == "tool_result"}
    within = {e.get("within") for e in main if e["kind"] == "tool_call"}
    calls = [c for turn in script["turns"].values() for steps in (
        turn["steps"], turn.get("steps_without_tools", [])) for s in steps for c in s.get("calls", [])]
    calls.sort(key=lambda c: -len(c.get("shell", "")))
    slow = [s["text"] for turn in script["turns"].values() for s in turn["steps"] if "pause_s" in s]
    tokens = {"in": 0, "cached": 0, "out": 0, "reasoning": 0}
    for event in main:
        kind = event["kind"]
        if kind == "user_message" and event.get("form") == "slash":
            continue
        if kind == "user_message":
            out["turns"].append(event["text"].strip())
        elif kind == "thought" and event["text"].strip():
            out["thoughts"].append(event["text"].strip())
        elif kind == "assistant_message":
            text = event["text"].strip()
            if text and not any(s.startswith(text) for s in slow):
                out["texts"].append(text)
        elif kind == "tool_call":
            # A call that is a program stands for the calls it makes.
            if event.get("call_id") and event["call_id"] in within:
                continue
            arguments = json.dumps(event.get("args"), ensure_ascii=False)
            # The longest first: "ls" is in "ls missing-directory".
            words = next((call_words(c) for c in calls
                          if c.get("shell", c.get("write")) in arguments
                          and ("shell" in c or c["content"].split("\n")[0] in arguments)),
                         f"{event['name']} {arguments}"[:120])
            result = results.get(event.get("call_id"))
            ok = None if result is None else result.get("ok")
            out["calls"].append(f"{words} {'ok' if ok else 'not ok'}")
        elif kind == "approval":
            decision = event.get("decision") or "unknown"
            # What no person was asked is no approval.
            if event.get("by") not in ("config", "policy", "hook"):
                word = decision.split("_")[0]
                out["approvals"].append("reject" if word == "cancelled" else word)
        elif kind == "interrupt":
            out["interrupts"].append(event.get("key") or "")
        elif kind in ("api_error", "error"):
            out["errors"].append(event.get("message") or "")
        elif kind == "usage":
            tokens["cached"] += event.get("cache_read", 0)
            tokens["in"] += sum(event.get(k, 0) for k in (
                "in", "cache_read", "cache_write_5m", "cache_write_1h"))
            tokens["out"] += event.get("out", 0)
            tokens["reasoning"] += event.get("reasoning", 0)
    out["tokens"] = tokens
    return out


@dataclass
class Cell:
    """One number of the table."""

    expected: int
    recovered: int
    extra: int
    differences: list = field(default_factory=list)

    @property
    def exact(self):
        return self.expected == self.recovered and not self.extra

    def __str__(self):
        return f"{self.expected}/{self.recovered}" + (f"+{self.extra}" if self.extra else "")


def compare(want, got, untold=()):
    """Column to cell. `untold` has the kinds of tokens that the agent does not tell."""
    cells = {}
    for column in COLUMNS:
        a, b = want[column], got[column]
        if column == "tokens":
            keys = [k for k in a if k not in untold]
            wrong = [f"{k}: {a[k]} expected, {b[k]} recovered" for k in keys if a[k] != b[k]]
            total_a, total_b = a["in"] + a["out"], b["in"] + b["out"]
            cells[column] = Cell(total_a, total_b, 0, wrong)
            if wrong and total_a == total_b:
                cells[column].extra = 1
            continue
        if column in ("interrupts", "errors"):
            # Their words are the agent's own.
            a, b = [""] * len(a), [""] * len(b)
        blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
        same = sum(block.size for block in blocks)
        wrong = [line for line in difflib.ndiff(a, b) if line[0] in "+-"]
        cells[column] = Cell(len(a), same, len(b) - same, wrong)
    return cells


def table(rows):
    """Rows of words, aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(w.ljust(n) for w, n in zip(row, widths)).rstrip() for row in rows)
