#!/usr/bin/env python3
"""Prints a profile as Markdown tables, from folded stacks (`outer;...;inner nanoseconds`, as inferno writes them).

    scripts/profile-table.py TITLE FILE

Three tables: the running code (a module of this crate, a library, the kernel); the function of this crate for which it ran,
the innermost one on the stack; and each file of this crate with everything that it calls.
"""

import re
import sys
from collections import Counter

OURS = "runtime_operator"
ROWS = 15
# The outermost frames of a complete stack.
ROOTS = {"start_thread", "__libc_start_call_main", "_start", "clone3"}
# Libraries that only run the code of others.
RUNTIME = {"core", "alloc", "std", "tokio", "futures_util", "futures_core", "tracing", "libc", "kernel", "unknown"}


def path(frame):
    """The path of the type or function that a demangled name begins with: `<a::B as c::D>::e` is of `a::B`."""
    inner = re.search(r"(?:drop_in_place|drop_glue)<(.*)>", frame)
    return re.sub(r"^[<&*(\[]+(?:mut |dyn |const )*", "", inner.group(1) if inner else frame)


def crate(frame):
    if frame.endswith("_[k]"):
        return "kernel"
    if frame == "[unknown]":
        return "unknown"
    found = re.match(r"(\w+)::", path(frame))
    return found.group(1) if found else "libc"


def module(frame):
    return OURS + "::" + re.match(r"\w+::(\w+)", path(frame)).group(1)


def function(frame):
    """The function without closures, since an async function is one. Serde's code for a type is named after the type."""
    name = frame.replace("::{{closure}}", "").replace("runtime_operator::", "")
    found = re.search(r"<impl serde_core::(?:de|ser)::(\w+) for ([\w:]+)", name)
    return f"{found.group(2)} as {found.group(1)}" if found else name


def file(frame):
    """The file: a path up to a type, or without the function at its end."""
    parts = re.match(r"[\w:]+", path(frame.replace("::{{closure}}", ""))).group(0).split("::")[1:]
    types = [index for index, part in enumerate(parts) if not part[:1].islower()]
    return "src/" + "/".join(parts[: types[0]] if types else parts[:-1])


def table(heading, counts, total):
    print(f"| {heading} | of its time |\n| --- | --- |")
    for name, count in counts.most_common(ROWS):
        print(f"| {name} | {100 * count / total:.1f} % |")
    print()


def main():
    title, stacks = sys.argv[1:]
    selves, causes, sums, total = Counter(), Counter(), Counter(), 0
    for line in open(stacks):
        stack, count = line.rsplit(" ", 1)
        # The first part is the thread's name.
        frames, count = stack.split(";")[1:], int(count)
        if not frames:
            continue
        total += count
        crates = [crate(frame) for frame in frames]
        selves[module(frames[-1]) if crates[-1] == OURS else crates[-1]] += count
        ours = [frame for frame, of in zip(frames, crates) if of == OURS and not frame.startswith(OURS + "::main")]
        if ours:
            causes[f"`{function(ours[-1])}`"] += count
            sums.update({f"`{name}`": count for name in {file(frame) for frame in ours}})
        elif frames[0] not in ROOTS:
            causes["unknown: the stack is incomplete"] += count
        else:
            others = [of for of in crates if of not in RUNTIME]
            causes[f"no function of ours: {others[-1] if others else 'tokio'}"] += count
    print(f"\n{title} ({total / 1e9:.2f} s)\n")
    table("running code", selves, total)
    table("function of ours", causes, total)
    table("file of ours, with everything that it calls", sums, total)


main()
