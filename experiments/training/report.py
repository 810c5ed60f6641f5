"""Write what the records of trained variants say into README.md (two tables) and the networks' descriptions.

    python report.py
"""

from pathlib import Path

from description import NETWORKS, WEIGHTS, read_description
from export import KEPT, records_of
from plan import PLANS
from record import toml_value

README = Path(__file__).resolve().parent / "README.md"
MARK = "# Variants, from the records in ../weights/{} (written by ../training/report.py)."
BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"
HEADER = [
    "| network | variant | groups | pruned units | kept | test accuracy | to dense (points) | largest input |",
    "|---|---|---|---|---|---|---|---|",
]


def row(record, dense):
    """One line of the table."""
    groups = sorted(set(record["groups"].values())) or [1]
    shuffled = ", shuffled" if record["shuffled"] else ""
    total, pruned = record["total_units"], "none"
    kept = f"{kept_words(record)} ({100 * record['kept_units'] / total:.0f} %)" if total else "all"
    if total:
        pruned = "of a plan" if KEPT in record else f"{record['family']}, {record['importance']}"
    if cyclic := cyclic_words(record):
        pruned = cyclic if pruned == "none" else f"{pruned}; {cyclic}"
    delta = f"{100 * (record['test_accuracy'] - dense):+.2f}" if dense else ""
    largest = f"{max(record['max_abs_activation_input'].values()):.1f}"
    if halved := record.get("halved"):
        largest += f" ({', '.join(halved)} halved)"
    return (
        f"| {record['network']} | `{record['variant']}` | {', '.join(map(str, groups))}{shuffled} | {pruned} "
        f"| {kept} | {100 * record['test_accuracy']:.2f} % | {delta} | {largest} |"
    )


def kept_words(record):
    """How many units the record says are kept: of a plan of the search, in each layer."""
    if KEPT not in record:
        return f"{record['kept_units']} of {record['total_units']}"
    totals = record["total_units_by_layer"]
    return ", ".join(f"{layer}: {kept} of {totals[layer]}" for layer, kept in record["kept_units_by_layer"].items())


def cyclic_words(record):
    """What the record says of cyclic layers; nothing if there is none."""
    layers = read_description(record["network"]).linear()
    shares = {layer.name: (layer.weight_shape[1], record.get("cyclic", {}).get(layer.name)) for layer in layers}
    return ", ".join(f"{name} {numbers[2]} of {inputs} inputs" for name, (inputs, numbers) in shares.items() if numbers)


def table(networks, shipped):
    """The Markdown table of every variant that has a record."""
    lines = list(HEADER)
    for network in networks:
        usable = records_of(network, WEIGHTS)
        dense = next((r["test_accuracy"] for r in usable if r["variant"] == "dense"), None)
        lines += [row(record, dense) for record in (usable if shipped else records_of(network, WEIGHTS, False))]
    return "\n".join(lines)


def replaced(text, name, content):
    """`text` with what lies between the marks called `name` replaced."""
    begin, end = BEGIN.format(name), END.format(name)
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def described(network):
    """The description's tables of a network's variants. Shuffled layers are stored, and so described, as dense ones."""
    records, parts = records_of(network, WEIGHTS), []
    for record in records:
        name = record["variant"]
        lines = ["[[variant]]", f'name = "{name}"', f'weights = "../weights/{network}/{name}.safetensors"']
        groups = {k: v for k, v in record["groups"].items() if k not in record["shuffled"]}
        if groups:
            lines.append(f"groups = {toml_value(groups)}")
        lines.append(f"accuracy = {record['test_accuracy']}")
        words = [f"{', '.join(record['shuffled'])} shuffled"] if record["shuffled"] else []
        if record["total_units"]:
            family = "" if KEPT in record else f" {record['family']}"
            words.append(f"{kept_words(record)}{family} units kept")
        if cyclic := cyclic_words(record):
            words.append(f"each unit reads: {cyclic}")
        if words:
            lines.append(f'pattern = "{"; ".join(words)}"')
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def main():
    networks = [plan.stem for plan in sorted(PLANS.glob("*.toml"))]
    text = README.read_text()
    for name, shipped in (("table", True), ("unshipped", False)):
        text = replaced(text, name, table(networks, shipped))
    README.write_text(text)
    for network in networks:
        if variants := described(network):
            path = NETWORKS / f"{network}.toml"
            mark = MARK.format(network)
            path.write_text(f"{path.read_text().split(mark)[0].rstrip()}\n\n{mark}\n\n{variants}\n")


if __name__ == "__main__":
    main()
