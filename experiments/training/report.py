"""Write the table of trained variants, read from their records, into README.md.

    python report.py
"""

import tomllib
from pathlib import Path

from plan import PLANS, read_plan
from train import WEIGHTS

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEADER = [
    "| network | variant | groups | pruned units | kept | test accuracy | to dense (points) | largest input |",
    "|---|---|---|---|---|---|---|---|",
]


def row(record, dense):
    """One line of the table."""
    groups = sorted(set(record["groups"].values())) or [1]
    shuffled = ", shuffled" if record["shuffled"] else ""
    total = record["total_units"]
    kept = f"{record['kept_units']} of {total} ({100 * record['kept_units'] / total:.0f} %)" if total else "all"
    pruned = f"{record['family']}, {record['importance']}" if total else "none"
    delta = f"{100 * (record['test_accuracy'] - dense):+.2f}" if dense else ""
    largest = max(record["max_abs_activation_input"].values())
    return (
        f"| {record['network']} | `{record['variant']}` | {', '.join(map(str, groups))}{shuffled} | {pruned} "
        f"| {kept} | {100 * record['test_accuracy']:.2f} % | {delta} | {largest:.1f} |"
    )


def table():
    """The Markdown table of every variant that has a record."""
    lines = list(HEADER)
    for plan in sorted(PLANS.glob("*.toml")):
        paths = [WEIGHTS / plan.stem / f"{name}.toml" for name in read_plan(plan.stem)]
        records = [tomllib.loads(path.read_text()) for path in paths if path.exists()]
        dense = next((r["test_accuracy"] for r in records if r["variant"] == "dense"), None)
        lines += [row(record, dense) for record in records]
    return "\n".join(lines)


def main():
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    main()
