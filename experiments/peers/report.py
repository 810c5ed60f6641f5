"""The results as JSON and as one Markdown table a set."""

import json
import os
import pathlib
import statistics

HAND_TUNED = json.loads((pathlib.Path(__file__).resolve().parent / "hand_tuned.json").read_text())
PEERS = ("OpenFHE", "SEAL", "Lattigo")
DISTRIBUTIONS = {"OpenFHE": "openfhe", "SEAL": "tenseal", "Lattigo": "orion-fhe"}
OURS = "spencnn"
TRANSFORM = "transform, tfhe-ntt"


def kept(output, result):
    """Sets of an earlier run that this one may keep."""
    path = output.with_suffix(".json")
    if not path.exists():
        return {}
    earlier = json.loads(path.read_text())
    same = all(earlier.get(key) == result[key] for key in ("cpu", "revision", "unavailable"))
    return earlier["sets"] if same else {}


def write(output, result):
    """Writes both files whole, or leaves what was there."""
    add_estimates(result)
    output.parent.mkdir(parents=True, exist_ok=True)
    for suffix, text in ((".json", json.dumps(result, indent=1) + "\n"), (".md", markdown(result))):
        path = output.with_suffix(suffix)
        partial = path.with_name(path.name + ".part")
        partial.write_text(text)
        os.replace(partial, path)


def add_estimates(result):
    """What the hand-tuned builds would take here: their times elsewhere, scaled by the transform of tfhe-ntt."""
    for name, entry in result["sets"].items():
        here = entry["times"].get(TRANSFORM, {}).get(OURS, {}).get("min_ms")
        there = HAND_TUNED["tfhe_ntt_us"].get(str(entry["set"]["log_n"]))
        if here is None or there is None:
            continue
        entry["scale_of_hand_tuned"] = here * 1e3 / there
        entry["hand_tuned_ms"] = {
            library: {primitive: ms * entry["scale_of_hand_tuned"] for primitive, ms in times.items()}
            for library, times in HAND_TUNED["ms"].get(name, {}).items()
        }


def ratio(numerator, denominator):
    usable = numerator is not None and denominator is not None and numerator > 0 and denominator > 0
    return f"{numerator / denominator:.2f}" if usable else "-"


def markdown(result):
    versions = {k: v for entry in result["sets"].values() for k, v in entry["versions"].items()}
    wheels = ", ".join(f"{DISTRIBUTIONS[k]} {v} ({k})" for k, v in sorted(versions.items())) or "none"
    lines = [
        "# Other libraries on the same machine", "",
        f"`{result['command']}`, {result['date']}, revision {result['revision']}. CPU: {result['cpu']}. "
        f"Wheels: {wheels}. One thread each.", "",
        "Least milliseconds, medians in brackets; x: that time over ours (of least times; above 1 ours is faster). "
        "Estimate: hand-tuned builds, measured on another machine and carried over by the transform of tfhe-ntt "
        "(see the [README](../peers/README.md)), over ours.", "",
        "Every library's result was decrypted once and compared with what it should be before it was timed; `wrong` stands for "
        "those that were not. Limbs read by decoding: ours, at most two; the others, all, so that the row of the last level "
        "is the one of equal work.", "",
    ]
    lines += [f"- {library} is missing: {reason}" for library, reason in result["unavailable"].items()]
    for name, entry in result["sets"].items():
        lines += table(name, entry)
    lines += factors(result)
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip() + "\n"


def table(name, entry):
    s = entry["set"]
    dnum = -(-s["limbs"] // s["digit_limbs"])
    lines = [
        "", f"## {name}: N = 2^{s['log_n']}, {s['limbs']} data limbs, {dnum} digits", "",
        f"Ours: all primes of {s['bits']} bits, special limbs: {s['special']}, {entry['isa']}. "
        f"Rounds: {entry['rounds']}.", "",
    ]
    lines += [f"{library} is missing: {reason}.\n" for library, reason in entry["absent"].items()]
    columns = [p for p in PEERS if p in entry["versions"]]
    estimates = entry.get("hand_tuned_ms", {})
    head = ["primitive", "ours"]
    for peer in columns:
        head += [peer, "x"] + ["estimate x"] * (peer in estimates)
    lines += ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for primitive in primitives(entry):
        times, checks = entry["times"].get(primitive, {}), entry["checks"].get(primitive, {})
        if not any(peer in times or peer in checks for peer in columns):
            continue
        least = times.get(OURS, {}).get("min_ms")
        row = [primitive, shown(times.get(OURS), checks.get(OURS))]
        for peer in columns:
            row += [shown(times.get(peer), checks.get(peer)), ratio(times.get(peer, {}).get("min_ms"), least)]
            if peer in estimates:
                row.append(ratio(estimates[peer].get(primitive), least))
        lines.append("| " + " | ".join(row) + " |")
    lines += checked(entry)
    transform, peer = (entry["times"].get(t, {}).get(OURS) for t in ("transform", TRANSFORM))
    if transform and peer:
        lines += ["", f"One forward transform of a limb, 50-bit prime: {transform['min_ms'] * 1e3:.1f} us; "
                  f"tfhe-ntt {peer['min_ms'] * 1e3:.1f} us, {ratio(peer['min_ms'], transform['min_ms'])} times ours."]
    return lines


def primitives(entry):
    """Names of what was timed or found wrong, in the order of the turns."""
    return [name for name in [*entry["times"], *(n for n in entry["checks"] if n not in entry["times"])]
            if not name.startswith("transform")]


def checked(entry):
    """What the checks found: the largest error beside what is allowed, and everything that is wrong."""
    found = [(check, name, library) for name, checks in entry["checks"].items() for library, check in checks.items()]
    passed = [(check["error"] / check["allowed"], name, library) for check, name, library in found if check["passed"]]
    lines = [""]
    if passed:
        share, name, library = max(passed)
        lines.append(f"Largest error of a result beside what is allowed: {share:.2g} ({library}, {name}).")
    for check, name, library in found:
        if not check["passed"]:
            error = check.get("why") or f"error {check['error']}"
            lines.append(f"Wrong: {library}, {name}: {error}, allowed {check['allowed']:.2g}.")
    return lines


def shown(times, check=None):
    if check and not check["passed"]:
        return "wrong"
    if not times:
        return "-"
    # A difference of times may come out below zero on a busy machine.
    cells = [f"{times[key]:.3f}" if times[key] > 0 else "noise" for key in ("min_ms", "median_ms")]
    return f"{cells[0]} ({cells[1]})"


def factors(result):
    """How much slower the wheels are than the hand-tuned builds."""
    lines = ["", "## Wheels against hand-tuned builds", "",
             "Time of the wheel here over the estimate for the hand-tuned build, by primitive; median over all.", ""]
    for peer in PEERS:
        found = {}
        for name, entry in result["sets"].items():
            for primitive, estimate in entry.get("hand_tuned_ms", {}).get(peer, {}).items():
                measured = entry["times"].get(primitive, {}).get(peer)
                if measured:
                    found.setdefault(primitive, []).append((name, measured["min_ms"] / estimate))
        if not found:
            continue
        everything = [f for pairs in found.values() for _, f in pairs]
        parts = [f"{p} {', '.join(f'{f:.1f} ({s})' for s, f in pairs)}" for p, pairs in found.items()]
        lines.append(f"- {peer}: {statistics.median(everything):.1f}. " + "; ".join(parts) + ".")
    return lines
