"""A model API on 127.0.0.1 that plays a script instead of a model.

It speaks Anthropic Messages, OpenAI Responses, OpenAI Chat Completions and Gemini, as JSON and as
server-sent events, far enough for the agents' own clients. It keeps no state of a conversation:
the last user message that contains a turn's prompt names the turn, and the number of answers after
it is the step. What it has served is in `served`, so that a test can tell "never asked" from
"asked, and not recovered".
"""

import gzip
import itertools
import json
import os
import re
import threading
import time
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODELS = ["mock-model", "claude-opus-4-8", "gpt-5.5", "gemini-2.5-pro"]

# The tools that agents declare for what a script calls shell and write; the first that fits is
# called.
TOOLS = {
    "shell": ["Bash", "exec_command", "shell_command", "shell", "run_shell_command", "bash",
              "run_commands", "execute_command", "Shell"],
    "write": ["Write", "apply_patch", "write_file", "write", "create", "write_to_file", "editor",
              "WriteFile"],
}
PATH_KEYS = ["file_path", "filePath", "path", "absolute_path"]
CONTENT_KEYS = ["content", "file_text", "contents", "new_text"]
COMMAND_KEYS = ["command", "cmd", "script"]

# An agent that takes its edits from the text says so in its own prompt and declares no tools.
EDITS_IN_TEXT = "SEARCH/REPLACE"


@dataclass
class Answer:
    """What to say to one request."""

    text: str = ""
    thought: str = ""
    calls: list = field(default_factory=list)  # (tool, arguments, is custom)
    usage: tuple = (1, 0, 1, 0)  # in, of it cached, out, of it reasoning
    error: dict | None = None
    pause_s: float = 0.0
    turn: str | None = None
    step: int = 0


# ---------------------------------------------------------------- what is asked


def plain_text(content):
    """The text of a message's content, in any of the dialects."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    parts = []
    for part in content or []:
        if isinstance(part, str):
            parts.append(part)
        elif part.get("type") in (None, "text", "input_text", "output_text"):
            if isinstance(part.get("text"), str) and not part.get("thought"):
                parts.append(part["text"])
    return "\n".join(parts)


def has_result(content):
    """Whether a message brings the results of calls."""
    parts = content if isinstance(content, list) else []
    return any(
        isinstance(p, dict) and (p.get("type") == "tool_result" or "functionResponse" in p)
        for p in parts
    )


def messages(request, dialect):
    """The conversation as (role, text); what one answer consists of counts once."""
    out = []

    def add(role, text):
        # Responses has an item for each part of an answer.
        if not (role == "assistant" and dialect == "responses" and out[-1:] and out[-1][0] == role):
            out.append((role, text))

    if dialect == "responses":
        items = request.get("input", [])
        if isinstance(items, str):
            items = [{"role": "user", "content": items}]
        for item in items:
            kind = item.get("type", "message")
            if kind == "message":
                add(item.get("role"), plain_text(item.get("content")))
            elif kind.endswith("_output"):
                add("tool", "")
            elif kind.endswith("_call") or kind == "reasoning":
                add("assistant", "")
        return out
    for message in request.get("contents" if dialect == "gemini" else "messages", []):
        role = {"model": "assistant"}.get(message.get("role"), message.get("role"))
        content = message.get("parts") if dialect == "gemini" else message.get("content")
        if has_result(content):
            add("tool", "")
            if not plain_text(content).strip():
                continue
        add(role, plain_text(content))
    return out


def tools(request, dialect):
    """The declared tools: name to (kind, schema, namespace)."""
    declared = list(request.get("tools") or [])
    if dialect == "responses" and isinstance(request.get("input"), list):
        for item in request["input"]:
            if item.get("type") == "additional_tools":
                declared += item.get("tools") or []
    out = {}

    def add(tool, schema, namespace=None):
        out[tool.get("name") or tool.get("type")] = (
            tool.get("type", "function"), schema or {}, namespace)

    for tool in declared:
        if dialect == "anthropic":
            add(tool, tool.get("input_schema"))
        elif dialect == "chat":
            function = tool.get("function") or {}
            add(function, function.get("parameters"))
        elif dialect == "gemini":
            for function in tool.get("functionDeclarations") or []:
                add(function, function.get("parametersJsonSchema") or function.get("parameters"))
        elif tool.get("type") == "namespace":
            name = tool.get("name") if tool.get("name") != "functions" else None
            for inner in tool.get("tools") or []:
                add(inner, inner.get("parameters"), name)
        else:
            add(tool, tool.get("parameters"))
    return out


def patch(call):
    """A file as the patch that adds it."""
    lines = "".join(f"+{line}\n" for line in call["content"].splitlines())
    return f"*** Begin Patch\n*** Add File: {call['write']}\n{lines}*** End Patch"


def concrete(call, declared, cwd):
    """A script's call as (tool, arguments, is custom) in the words of the tools declared."""
    kind = "shell" if "shell" in call else "write"
    name = next((name for name in TOOLS[kind] if name in declared), None)
    if name is None:
        return None
    tool_kind, schema, _ = declared[name]
    properties = schema.get("properties") or {}
    if name == "apply_patch":
        text = patch(call)
        custom = tool_kind == "custom"
        return name, text if custom else {next(iter(properties), "input"): text}, custom
    arguments = {}

    def put(keys, value):
        key = next((key for key in keys if key in properties), keys[0])
        arguments[key] = [value] if properties.get(key, {}).get("type") == "array" else value

    if kind == "shell":
        put(["commands"] if name == "run_commands" else COMMAND_KEYS, call["shell"])
        if "description" in properties:
            arguments["description"] = call.get("why", "Run a command")
        if call.get("outside") and "justification" in properties:
            arguments["justification"] = call.get("why", "Run a command")
            arguments["sandbox_permissions"] = "require_escalated"
    else:
        put(PATH_KEYS, os.path.join(cwd, call["write"]))
        put(CONTENT_KEYS, call["content"])
    for key in schema.get("required") or []:
        if key not in arguments:
            arguments[key] = filler(properties.get(key) or {})
    return name, arguments, False


def filler(schema):
    """Some value that fits a schema."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    return {"integer": 30000, "number": 30000, "boolean": False, "array": [], "object": {}}.get(
        kind, "Add API rate limiting")


def program(call):
    """A call as JavaScript, for the tool through which some models call all others."""
    if "write" in call:
        return f"text(await tools.apply_patch({json.dumps(patch(call))}));"
    arguments = {"cmd": call["shell"]}
    if call.get("outside"):
        arguments |= {"sandbox_permissions": "require_escalated", "justification": call["why"]}
    return f"text((await tools.exec_command({json.dumps(arguments)})).output);"


# ---------------------------------------------------------------- the server


class Mock:
    """The script, the server, and what has been served."""

    def __init__(self, script, cwd, log=None):
        self.turns = script["turns"]
        self.cwd = cwd
        self.log = log
        self.served = []  # (turn, step), in order
        self.told = {}  # of each turn, the conversation that came with it
        self.streaming = threading.Event()  # a pausing answer has begun
        self.lock = threading.Lock()
        self.count = itertools.count(1)
        mock = self

        class Bound(Handler):
            pass

        Bound.mock = mock
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request, dialect):
        """The script's answer to a request."""
        conversation = messages(request, dialect)
        declared = tools(request, dialect)
        system = request.get("system") or request.get("instructions") or ""
        system = plain_text(system) + "".join(
            text for role, text in conversation if role in ("system", "developer"))
        edits_in_text = EDITS_IN_TEXT in system
        wanted = ((request.get("text") or {}).get("format") or {}).get("schema")
        if wanted:
            values = {k: filler(v) for k, v in (wanted.get("properties") or {}).items()}
            return Answer(text=json.dumps(values))
        if not declared and not edits_in_text:
            # A title, a summary: the agent's own business.
            return Answer(text="Add API rate limiting")
        name, turn, after = None, None, []
        for at in range(len(conversation) - 1, -1, -1):
            role, text = conversation[at]
            if role == "user":
                name, turn = next(
                    ((n, t) for n, t in self.turns.items() if t["prompt"] in text), (None, None))
                if turn:
                    after = conversation[at + 1:]
                    break
        if not turn:
            return Answer(text="Nothing is scripted for this prompt.")
        step = sum(role == "assistant" for role, _ in after)
        self.told[name] = "\n".join(text for _, text in conversation)
        steps = turn["steps"]
        if edits_in_text and "steps_without_tools" in turn:
            steps = turn["steps_without_tools"]
        if step >= len(steps):
            return Answer(text="Nothing is scripted after this.")
        script = steps[step]
        calls = []
        if declared.get("exec", ("",))[0] == "custom" and script.get("calls"):
            calls = [("exec", "\n".join(map(program, script["calls"])) + "\n", True)]
        else:
            calls = [concrete(call, declared, self.cwd) for call in script.get("calls", [])]
        return Answer(
            text=script.get("text", ""), thought=script.get("thought", ""),
            calls=[call for call in calls if call], usage=tuple(script.get("usage", (0, 0, 0, 0))),
            error=script.get("error"), pause_s=script.get("pause_s", 0.0), turn=name, step=step)

    def serve(self, path, request, dialect):
        """Answers, and remembers that it did."""
        answer = self.answer(request, dialect)
        with self.lock:
            number = next(self.count)
            if answer.turn:
                self.served.append((answer.turn, answer.step))
            if self.log:
                os.makedirs(self.log, exist_ok=True)
                with open(os.path.join(self.log, f"{number:04}.json"), "w") as file:
                    json.dump({"path": path, "answer": repr(answer), "request": request}, file,
                              indent=1)
        return answer


def unique(prefix):
    return prefix + os.urandom(12).hex()


def pieces(text, count=4):
    """Text in up to `count` pieces, as a model would send it."""
    size = max(1, -(-len(text) // count))
    return [text[at:at + size] for at in range(0, len(text), size)]


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    mock: Mock

    def log_message(self, format, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.endswith("/v1beta/models"):
            self.reply({"models": [{"name": f"models/{name}", "displayName": name} for name in MODELS]})
        elif path.endswith("/models"):
            data = [{"id": name, "object": "model", "type": "model", "display_name": name,
                     "created": 1700000000, "owned_by": "mock"} for name in MODELS]
            self.reply({"object": "list", "data": data, "has_more": False})
        else:
            self.reply({}, 200 if path == "/" else 404)

    def do_POST(self):
        raw = self.body()
        path = self.path.split("?")[0]
        dialect = next((name for tail, name in [
            ("/messages", "anthropic"), ("/responses", "responses"),
            ("/chat/completions", "chat"), ("enerateContent", "gemini")] if tail in path), None)
        try:
            if re.search("count_?[tT]okens", path):
                self.reply({"input_tokens": 1, "totalTokens": 1})
            elif not dialect or path.endswith("/compact"):
                self.reply({"error": {"type": "not_found_error", "message": "no such path"}}, 404)
            else:
                request = json.loads(raw)
                answer = self.mock.serve(self.path, request, dialect)
                if answer.error:
                    self.reply({"type": "error", "error": dict(
                        answer.error, code=answer.error["type"])}, answer.error["status"])
                else:
                    self.pause_s = answer.pause_s
                    getattr(self, "say_" + dialect)(request, answer)
        except (BrokenPipeError, ConnectionResetError):
            # An interrupted agent hangs up.
            self.close_connection = True

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raw = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        encoding = self.headers.get("Content-Encoding", "")
        if encoding == "gzip":
            return gzip.decompress(raw)
        return zlib.decompress(raw) if encoding == "deflate" else raw

    def reply(self, value, status=200):
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("request-id", unique("req_"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, data, name=None):
        text = f"event: {name}\n" if name else ""
        text += f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
        raw = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.flush()

    def words(self, text, count=4):
        """The pieces of a text, at the speed the script wants."""
        for piece in pieces(text, count if not self.pause_s else 40):
            yield piece
            if self.pause_s:
                self.mock.streaming.set()
                time.sleep(self.pause_s)

    def end(self):
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def say_anthropic(self, request, answer):
        blocks = []
        if answer.thought and request.get("thinking"):
            blocks.append({"type": "thinking", "thinking": answer.thought, "signature": "bW9jaw=="})
        if answer.text:
            blocks.append({"type": "text", "text": answer.text})
        for name, arguments, _ in answer.calls:
            blocks.append({"type": "tool_use", "id": unique("toolu_01"), "name": name,
                           "input": arguments})
        total, cached, out, _ = answer.usage
        usage = {"input_tokens": total - cached, "cache_creation_input_tokens": 0,
                 "cache_read_input_tokens": cached, "output_tokens": out}
        stop = "tool_use" if answer.calls else "end_turn"
        message = {"id": unique("msg_01"), "type": "message", "role": "assistant",
                   "model": request.get("model"), "content": blocks, "stop_reason": stop,
                   "stop_sequence": None, "usage": usage}
        if not request.get("stream"):
            return self.reply(message)
        self.begin()

        def send(kind, **rest):
            self.event(dict(type=kind, **rest), kind)

        first = dict(usage, output_tokens=min(out, 1))
        send("message_start", message=dict(message, content=[], stop_reason=None, usage=first))
        for index, block in enumerate(blocks):
            kind = block["type"]
            if kind == "thinking":
                empty = {"type": kind, "thinking": "", "signature": ""}
                deltas = [("thinking_delta", "thinking", p) for p in pieces(block["thinking"])]
                deltas.append(("signature_delta", "signature", block["signature"]))
            elif kind == "text":
                empty = {"type": kind, "text": ""}
                deltas = (("text_delta", "text", p) for p in self.words(block["text"]))
            else:
                empty = dict(block, input={})
                deltas = [("input_json_delta", "partial_json", p)
                          for p in pieces(json.dumps(block["input"]))]
            send("content_block_start", index=index, content_block=empty)
            for delta, key, piece in deltas:
                send("content_block_delta", index=index, delta={"type": delta, key: piece})
            send("content_block_stop", index=index)
        send("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage=usage)
        send("message_stop")
        self.end()

    def say_responses(self, request, answer):
        items = []
        if answer.thought:
            items.append({"type": "reasoning", "id": unique("rs_"), "encrypted_content": "bW9jaw==",
                          "summary": [{"type": "summary_text", "text": answer.thought}]})
        if answer.text:
            items.append({
                "type": "message", "id": unique("msg_"), "role": "assistant", "status": "completed",
                "phase": "commentary" if answer.calls else "final_answer",
                "content": [{"type": "output_text", "text": answer.text, "annotations": []}]})
        declared = tools(request, "responses")
        for name, arguments, custom in answer.calls:
            item = {"id": unique("fc_"), "status": "completed", "call_id": unique("call_"),
                    "name": name}
            if custom:
                items.append(dict(item, type="custom_tool_call", input=arguments))
            else:
                namespace = declared[name][2]
                extra = {"namespace": namespace} if namespace else {}
                items.append(dict(item, type="function_call", arguments=json.dumps(arguments),
                                  **extra))
        total, cached, out, reasoning = answer.usage
        usage = {"input_tokens": total, "input_tokens_details": {"cached_tokens": cached},
                 "output_tokens": out, "output_tokens_details": {"reasoning_tokens": reasoning},
                 "total_tokens": total + out}
        base = {"id": unique("resp_"), "object": "response", "created_at": int(time.time()),
                "status": "in_progress", "model": request.get("model"), "output": [],
                "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": None,
                "error": None, "incomplete_details": None, "instructions": None, "metadata": {}}
        whole = dict(base, status="completed", output=items, usage=usage)
        if not request.get("stream"):
            return self.reply(whole)
        self.begin()
        numbers = itertools.count()

        def send(kind, **rest):
            self.event(dict(type=f"response.{kind}", sequence_number=next(numbers), **rest),
                       f"response.{kind}")

        send("created", response=base)
        for index, item in enumerate(items):
            at = {"item_id": item["id"], "output_index": index}
            kind = item["type"]
            if kind == "reasoning":
                part = item["summary"][0]
                send("output_item.added", output_index=index, item=dict(item, summary=[]))
                send("reasoning_summary_part.added", summary_index=0, part=dict(part, text=""), **at)
                for piece in pieces(part["text"]):
                    send("reasoning_summary_text.delta", summary_index=0, delta=piece, **at)
                send("reasoning_summary_text.done", summary_index=0, text=part["text"], **at)
                send("reasoning_summary_part.done", summary_index=0, part=part, **at)
            elif kind == "message":
                part = item["content"][0]
                send("output_item.added", output_index=index, item=dict(item, content=[]))
                send("content_part.added", content_index=0, part=dict(part, text=""), **at)
                for piece in self.words(part["text"]):
                    send("output_text.delta", content_index=0, delta=piece, **at)
                send("output_text.done", content_index=0, text=part["text"], **at)
                send("content_part.done", content_index=0, part=part, **at)
            else:
                key, event = ("arguments", "function_call_arguments") if kind == "function_call" \
                    else ("input", "custom_tool_call_input")
                send("output_item.added", output_index=index, item=dict(item, **{key: ""}))
                for piece in pieces(item[key]):
                    send(f"{event}.delta", delta=piece, **at)
                send(f"{event}.done", **{key: item[key]}, **at)
            send("output_item.done", output_index=index, item=item)
        send("completed", response=whole)
        self.end()

    def say_chat(self, request, answer):
        calls = [{"index": index, "id": unique("call_"), "type": "function",
                  "function": {"name": name, "arguments": json.dumps(arguments)}}
                 for index, (name, arguments, _) in enumerate(answer.calls)]
        finish = "tool_calls" if calls else "stop"
        total, cached, out, reasoning = answer.usage
        usage = {"prompt_tokens": total, "completion_tokens": out, "total_tokens": total + out,
                 "prompt_tokens_details": {"cached_tokens": cached},
                 "completion_tokens_details": {"reasoning_tokens": reasoning}}
        base = {"id": unique("chatcmpl-"), "created": int(time.time()),
                "model": request.get("model")}
        if not request.get("stream"):
            message = {"role": "assistant", "content": answer.text or None}
            if answer.thought:
                message["reasoning_content"] = answer.thought
            if calls:
                message["tool_calls"] = calls
            return self.reply(dict(base, object="chat.completion", usage=usage, choices=[
                {"index": 0, "message": message, "finish_reason": finish}]))
        self.begin()

        def send(delta, finish=None):
            self.event(dict(base, object="chat.completion.chunk", choices=[
                {"index": 0, "delta": delta, "finish_reason": finish}]))

        send({"role": "assistant", "content": ""})
        for piece in pieces(answer.thought):
            send({"reasoning_content": piece})
        for piece in self.words(answer.text):
            send({"content": piece})
        for call in calls:
            function = call["function"]
            send({"tool_calls": [dict(call, function=dict(function, arguments=""))]})
            for piece in pieces(function["arguments"]):
                send({"tool_calls": [{"index": call["index"], "function": {"arguments": piece}}]})
        send({}, finish)
        self.event(dict(base, object="chat.completion.chunk", choices=[], usage=usage))
        self.event("[DONE]")
        self.end()

    def say_gemini(self, request, answer):
        parts = []
        if answer.thought:
            parts.append({"text": answer.thought, "thought": True})
        texts = [answer.text]
        if (request.get("generationConfig") or {}).get("responseMimeType") == "application/json":
            schema = request["generationConfig"].get("responseJsonSchema") or {}
            texts = [json.dumps({key: filler(value) for key, value in
                                 (schema.get("properties") or {}).items()})]
        calls = [{"functionCall": {"name": name, "args": arguments}, "thoughtSignature": "bW9jaw=="}
                 for name, arguments, _ in answer.calls]
        total, cached, out, reasoning = answer.usage
        usage = {"promptTokenCount": total, "cachedContentTokenCount": cached,
                 "candidatesTokenCount": out - reasoning, "thoughtsTokenCount": reasoning,
                 "totalTokenCount": total + out}
        base = {"modelVersion": re.sub(r".*/models/|:.*", "", self.path),
                "responseId": unique("")}

        def chunk(some, finish=None):
            candidate = {"content": {"role": "model", "parts": some}, "index": 0}
            if finish:
                candidate["finishReason"] = finish
            return dict(base, candidates=[candidate], usageMetadata=usage)

        if "streamGenerateContent" not in self.path:
            texts = [{"text": text} for text in texts if text]
            return self.reply(chunk(parts + texts + calls, "STOP"))
        self.begin()
        for part in parts:
            self.event(chunk([part]))
        for text in texts:
            for piece in self.words(text):
                self.event(chunk([{"text": piece}]))
        for call in calls:
            self.event(chunk([call]))
        self.event(chunk([{"text": ""}], "STOP"))
        self.end()
