// xterm.js as an oracle, over a pipe. Reads cases: u32le length, u16le columns, u16le rows, bytes.
// Answers each with a line of JSON: rows as text, cursor column (the width when a wrap is
// pending), cursor row; or null where xterm.js itself throws.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.cwd() + "/"));
const { Terminal } = require("@xterm/headless");
const terminals = new Map();
let pending = Buffer.alloc(0);

function answer(cols, rows, bytes) {
  const size = `${cols}x${rows}`;
  let term = terminals.get(size);
  if (!term) {
    term = new Terminal({ cols, rows, scrollback: 100, allowProposedApi: true, logLevel: "off" });
    terminals.set(size, term);
  }
  term.reset();
  try {
    term._core.writeSync(bytes);
  } catch {
    terminals.delete(size);
    return "null";
  }
  const buffer = term.buffer.active;
  const lines = [];
  for (let y = 0; y < rows; y++) lines.push(buffer.getLine(buffer.baseY + y).translateToString(true));
  return JSON.stringify([lines, buffer.cursorX, buffer.cursorY]);
}

process.stdin.on("data", (chunk) => {
  pending = Buffer.concat([pending, chunk]);
  const answers = [];
  while (pending.length >= 8) {
    const length = pending.readUInt32LE(0);
    if (pending.length < 8 + length) break;
    const [cols, rows] = [pending.readUInt16LE(4), pending.readUInt16LE(6)];
    answers.push(answer(cols, rows, new Uint8Array(pending.subarray(8, 8 + length))));
    pending = pending.subarray(8 + length);
  }
  if (answers.length) process.stdout.write(answers.join("\n") + "\n");
});
