"""Write the table of trained variants, read from their records, into README.md.

    python report.py
"""

import argparse
import tomllib
from pathlib import Path

from export import WEIGHTS
from variants import VARIANTS

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEADER = [
    "| variant | groups | pruned units | kept | test accuracy | to dense (points) | largest activation inputs |",
    "|---|---|---|---|---|---|---|",
]


def row(record, dense_accuracy):
    """One line of the table. Records of plans of the search tell of each layer."""
    groups, family, ranges = record["groups"], record["family"], record["max_abs_activation_input"]
    kept = f"{record['kept_units']} of {record['total_units']}" if record["total_units"] else "all"
    if by_layer := record.get("kept_units_by_layer"):
        totals = record["total_units_by_layer"]
        kept = ", ".join(f"{layer} {count} of {totals[layer]}" for layer, count in by_layer.items())
        groups, family, ranges = groups["conv2"], "a plan's", ranges.values()
    ranges = " / ".join(f"{value:.1f}" for value in ranges)
    delta = 100 * (record["test_accuracy"] - dense_accuracy)
    return (
        f"| `{record['variant']}` | {groups} | {family} | {kept} "
        f"| {100 * record['test_accuracy']:.2f} % | {delta:+.2f} | {ranges} |"
    )


def table(weights):
    """The Markdown table of every variant that has a record, those of this trainer first."""
    own = [weights / f"{name}.toml" for name in VARIANTS]
    others = [path for path in sorted(weights.glob("*.toml")) if path not in own]
    records = [tomllib.loads(path.read_text()) for path in own + others if path.exists()]
    dense = next(r["test_accuracy"] for r in records if r["variant"] == "dense")
    return "\n".join(HEADER + [row(record, dense) for record in records])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    text = table(parser.parse_args().weights)
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    print(text)


if __name__ == "__main__":
    main()
