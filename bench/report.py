"""From the JSON results to a table, plots, and the README's part.

    python bench/report.py RESULTS [--readme README.md]

Every number comes from the files in RESULTS.
"""

import argparse
import glob
import json
import os

from common import describe, show

QUESTIONS = {
    "save_to_live": "1. Save to live",
    "heap": "2. Heap of 6 million objects",
    "busy": "3. Busy host",
    "stops": "4. Stop of other threads",
    "calls": "5. Cost of a call",
    "torn": "6. Torn pairs",
    "batch": "7. A batch of 500 files",
    "idle": "8. Idle",
    "watching": "9. Scale of watching",
    "peers": "Others, side by side",
    "counts": "Instructions",
}
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def load(folder):
    """{question: {python: result}}"""
    results = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path) as file:
            result = json.load(file)
        results.setdefault(result["question"], {})[result["python"]] = result
    return {name: results[name] for name in QUESTIONS if name in results}


def value_of(figure):
    return figure.get("value", figure.get("median"))


def cell(figure):
    if figure is None:
        return ""
    if "value" in figure:
        text = show(figure["value"])
    elif "median" in figure:
        text = f"{show(figure['median'])} (p99 {show(figure['p99'])})"
    else:
        return "none"
    return f"{text} {figure['unit']}".strip()


def find(result, name):
    return next((f for f in result["figures"] if f["name"] == name), None)


def rows(results, wanted=None):
    """(question, name, figures by version) for every figure."""
    for question, by_python in results.items():
        names = []
        for result in by_python.values():
            names += [f["name"] for f in result["figures"] if f["name"] not in names]
        for name in names:
            figures = {v: find(r, name) for v, r in by_python.items()}
            if wanted is None or any(f and wanted(f) for f in figures.values()):
                yield question, name, figures


def state(figures):
    judged = [f for f in figures.values() if f and "reached" in f]
    if not judged:
        return "", ""
    target = judged[0]["target"]
    goal = f"≤ {show(target)} {judged[0]['unit']}".strip()
    if judged[0]["judged"] == "p99":
        goal += " (p99)"
    return goal, "yes" if all(f["reached"] for f in judged) else "**no**"


def table(results, wanted=None):
    versions = sorted({v for r in results.values() for v in r}, key=key_of)
    lines = [
        "| question | figure | " + " | ".join(versions) + " | goal | reached |",
        "|---|---|" + "---|" * (len(versions) + 2),
    ]
    last = None
    for question, name, figures in rows(results, wanted):
        first = QUESTIONS[question] if question != last else ""
        last = question
        cells = [cell(figures.get(v)) for v in versions]
        lines.append(f"| {first} | {name} | " + " | ".join(cells)
                     + " | {} | {} |".format(*state(figures)))
    return "\n".join(lines) + "\n"


def key_of(version):
    return [int(part) for part in version.split(".")]


# -- Plots ---------------------------------------------------------------------


def draw_bars(plt, path, title, bars, unit, log=True):
    """bars: (label, value); shorter is better, ours first and in colour."""
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(bars) + 1.2))
    names = [name for name, _ in bars][::-1]
    values = [value for _, value in bars][::-1]
    colours = ["#d9480f" if "hot_reload" in n else "#adb5bd" for n in names]
    drawn = axes.barh(names, values, color=colours)
    axes.bar_label(drawn, [f" {show(v)} {unit}" for v in values], fontsize=8)
    if log:
        axes.set_xscale("log")
    axes.margins(x=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_samples(plt, path, title, groups):
    """groups: (label, samples in ms): the whole distribution of each."""
    figure, axes = plt.subplots(figsize=(8, 4))
    for label, samples in groups:
        ordered = sorted(samples)
        part = [(i + 1) / len(ordered) * 100 for i in range(len(ordered))]
        axes.plot(ordered, part, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("ms", fontsize=8)
    axes.set_ylabel("% of saves that are live by then", fontsize=8)
    axes.axvline(1, color="#adb5bd", linestyle=":")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def samples_of(result, start):
    return [
        (f["name"].split(", ", 1)[-1].replace(start, "").strip(), f["samples"])
        for f in result["figures"]
        if f["name"].startswith(start) and f.get("samples")
    ]


def plots(results, folder):
    try:
        import matplotlib
    except ImportError:
        print("no plots: matplotlib is not installed")
        return []
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    made = []

    def draw(kind, name, *arguments):
        if arguments[-1] if kind is draw_samples else arguments[1]:
            kind(plt, os.path.join(folder, name + ".png"), *arguments)
            made.append(name + ".png")

    for question, start, title in (
        ("save_to_live", "save to first call", "From the save to the first call"),
        ("busy", "busy:", "The same while threads are busy"),
    ):
        for version, result in results.get(question, {}).items():
            short = ".".join(version.split(".")[:2])
            draw(draw_samples, f"{question}-{short}", f"{title}, Python {version}",
                 samples_of(result, start))
    for version, result in results.get("peers", {}).items():
        short = ".".join(version.split(".")[:2])
        for lines in ("100", "11,000"):
            bars = [
                (f["name"].split(": ", 1)[1], f["median"])
                for f in result["figures"]
                if f["name"].startswith(lines + " lines: ") and "median" in f
            ]
            bars.sort(key=lambda bar: bar[1])
            draw(draw_bars, f"peers-{lines.replace(',', '')}-{short}",
                 f"Save to live, module of {lines} lines, Python {version} "
                 "(median; the scale is logarithmic)", bars, "ms")
    return made


# -- Output --------------------------------------------------------------------


def write_all(results, folder, made):
    with open(os.path.join(folder, "table.md"), "w") as file:
        file.write("# Results\n\nMade by `make bench`; do not edit.\n\n")
        file.write(table(results))
        for name in made:
            file.write(f"\n![{name[:-4]}]({name})\n")
        file.write("\n## Notes\n\n")
        for by_python in results.values():
            for version, result in by_python.items():
                for note in result["notes"]:
                    file.write(f"- {result['question']}, {version}: {note}\n")


# What the README shows of each question: the figure, and in which words.
HEADLINES = {
    "save_to_live": {
        "floor": "the floor: kernel, compile() of that function, one exchange",
        "save to first call, 100 lines": "a function of a module of 100 lines",
        "save to first call, 1,000 lines": "of 1,000 lines",
        "save to first call, 11,000 lines": "of 11,000 lines",
        "save to first call, class": "a method of a class of 3,000 lines",
        "11,000 lines, times the floor": "11,000 lines, times the floor",
        "11,000 lines against compile() of them":
            "11,000 lines, part of what compile() takes",
    },
    "heap": {
        "save to first call, function, 6 million objects":
            "with 6 million objects on the heap",
        "save to first call, closures, 6 million objects":
            "the same, closures that are alive",
        "a bare walk of the heap": "a bare walk of that heap",
    },
    "busy": {
        "busy: main thread": "while the main thread is busy",
        "busy: another thread": "while another thread is busy",
        "busy: four threads": "while four threads are busy",
    },
    "stops": {
        "longest gap, more by a save, 11,000 lines":
            "other threads stopped by a save, 11,000 lines",
    },
    "calls": {
        "call of a function, edited against plain": "call of an edited function",
        "call of a function, replaced against plain": "call of a replaced function",
        "call of a method, edited against plain": "call of an edited method",
    },
    "torn": {
        "pairs of calls": "pairs of calls during 1,000 saves",
        "torn pairs, functions": "of them torn",
    },
    "batch": {
        "end of git checkout to commit": "500 files by one git checkout",
    },
    "idle": {
        "context switches in 60 s": "wake-ups in 60 s",
        "import and start": "import and start",
        "memory for 1,000 followed lines": "memory for 1,000 followed lines",
    },
    "watching": {
        "save to first call, 100,000 files, 50 imported":
            "save, 100,000 files under the root",
    },
}
# Why a goal is not reached; the figures whose names begin so.
WHY = {
    "longest gap of a thread, more by a save, closures":
        "one walk of the heap, which keeps the GIL",
    "memory for 1,000 followed lines":
        "the text itself, which is gone from the disk after the save, is most of it",
    "class, times the floor":
        "the class is split anew: its hash takes all of its 3,000 lines, 0.25 ms",
    "adds a line, times the floor": "all blocks behind it move",
    "busy:":
        "the engine's thread has to be woken and to get one of two cores that are busy",
}


def headline_table(results):
    versions = sorted({v for r in results.values() for v in r}, key=key_of)
    lines = ["| | " + " | ".join(versions) + " | goal |", "|---|" + "---|" * (
        len(versions) + 1)]
    for question, by_python in results.items():
        for name, label in HEADLINES.get(question, {}).items():
            figures = {v: find(r, name) for v, r in by_python.items()}
            if not any(figures.values()):
                continue
            cells = [cell(figures.get(v)) for v in versions]
            goal, reached = state(figures)
            mark = "" if reached != "**no**" else ", missed"
            lines.append(f"| {label} | " + " | ".join(cells) + f" | {goal}{mark} |")
    return "\n".join(lines) + "\n"


def peers_table(results):
    """One row for each tool, of the newest Python."""
    by_python = results.get("peers", {})
    if not by_python:
        return ""
    version = max(by_python, key=key_of)
    sizes = ("100 lines: ", "11,000 lines: ")
    medians = {}
    for figure in by_python[version]["figures"]:
        for size in sizes:
            if figure["name"].startswith(size) and "median" in figure:
                tool = figure["name"][len(size):]
                medians.setdefault(tool, {})[size] = figure["median"]
    ours = medians.get("hot_reload", {})
    lines = [f"| Python {version} | 100 lines | | 11,000 lines | |",
             "|---|---|---|---|---|"]
    for tool, found in sorted(medians.items(),
                              key=lambda item: list(item[1].values())[0]):
        cells = []
        for size in sizes:
            cells.append(f"{show(found[size])} ms" if size in found else "")
            ratio = found.get(size, 0) / ours[size] if ours.get(size) else 0
            cells.append(f"{ratio:,.0f} ×" if ratio and tool != "hot_reload" else "")
        lines.append(f"| {tool} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def missed_list(results):
    lines, judged = [], 0
    for _question, name, figures in rows(results):
        for version, figure in figures.items():
            if not figure or "reached" not in figure:
                continue
            judged += 1
            if not figure["reached"]:
                why = next((w for k, w in WHY.items() if name.startswith(k)), "")
                lines.append(f"- {name}, {version}: {cell(figure)}, goal "
                             f"{state({version: figure})[0]}"
                             + (f" ({why})" if why else ""))
    head = f"{judged - len(lines)} of {judged} goals are reached."
    return head + ("\n\nNot reached:\n\n" + "\n".join(lines) if lines else "") + "\n"


def update_readme(path, results, folder, made):
    with open(path) as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        print(f"{path} has no markers for the table")
        return
    relative = os.path.relpath(folder, os.path.dirname(os.path.abspath(path)))
    pictures = [n for n in made if n.startswith(("peers-11000", "save_to_live"))]
    part = "From the end of a save to the first call of the new code (medians):\n\n"
    part += peers_table(results) + "\n" + headline_table(results) + "\n"
    part += missed_list(results)
    part += "".join(f"\n![{n[:-4]}]({relative}/{n})" for n in pictures[-2:])
    part += f"\n\nAll figures, with their spread: [{relative}/table.md]"
    part += f"({relative}/table.md)\n"
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(path, "w") as file:
        file.write(f"{before}{BEGIN}\n{part}{END}{after}")


def print_missed(results):
    count = 0
    for _, _, figures in rows(results):
        for version, figure in figures.items():
            if figure and figure.get("reached") is False:
                count += 1
                print(f"missed, {version}: {describe(figure)}")
    print("all goals reached" if not count else f"{count} goals missed")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results")
    parser.add_argument("--readme", default=None)
    options = parser.parse_args()
    results = load(options.results)
    made = plots(results, options.results)
    write_all(results, options.results, made)
    if options.readme:
        update_readme(options.readme, results, options.results, made)
    print_missed(results)


if __name__ == "__main__":
    main()
