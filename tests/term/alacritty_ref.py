"""The reference recordings of alacritty_terminal against `il vt`.

    python3 tests/term/alacritty_ref.py DIR IL

DIR is `tests/ref` of the crate's source, IL the program. Each case is bytes from a real pty and
the grid they must give. The screens are compared; what feeds the history differs by decision
(ED 2 and RIS do here what xterm does). Known differences are decisions and are listed with their
reasons. `make bench` runs it.
"""
import json
import pathlib
import subprocess
import sys

KNOWN = {
    "decaln_reset": "DECALN homes the cursor here",
    "deccolm_reset": "DECCOLM is not honoured unless it is allowed",
}


def rows_of(grid):
    raw = grid["raw"]
    out = []
    for row in raw["inner"][: raw["len"]]:
        text = ""
        for cell in row["inner"]:
            flags = cell["flags"].split(" | ")
            if "WIDE_CHAR_SPACER" in flags or "LEADING_WIDE_CHAR_SPACER" in flags:
                continue
            char = cell["c"]
            extra = cell.get("extra") or {}
            text += (" " if char == "\t" else char) + "".join(extra.get("zerowidth") or [])
        out.append(text.rstrip())
    out.reverse()
    return out


def main(directory, il):
    equal, known, wrong = 0, [], []
    for case in sorted(pathlib.Path(directory).iterdir()):
        size = json.loads((case / "size.json").read_text())
        expected = rows_of(json.loads((case / "grid.json").read_text()))
        shown = subprocess.run(
            [il, "vt", "--width", "legacy", "--size", f"{size['columns']}x{size['screen_lines']}"],
            stdin=(case / "alacritty.recording").open("rb"), capture_output=True, check=True,
        ).stdout.decode()
        shown = [row.rstrip() for row in shown.split("\n")]
        shown = (shown + [""] * size["screen_lines"])[: size["screen_lines"]]
        expected = expected[-size["screen_lines"]:]
        if shown == expected:
            equal += 1
        elif case.name in KNOWN:
            known.append(case.name)
        else:
            wrong.append(case.name)
            a, b = next((a, b) for a, b in zip(shown, expected) if a != b)
            print(f"{case.name}:\n  il        {a!r}\n  alacritty {b!r}")
    for name in known:
        print(f"{name}: {KNOWN[name]}")
    print(f"alacritty: {equal + len(known) + len(wrong)} cases run, {equal} equal, "
          f"{len(known)} different by decision, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
