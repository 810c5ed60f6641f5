//! Tables, and the whole report in tables.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::markup::{Markup, tag};

/// What stands for a value that is not there, and for an empty list.
const NONE: &str = "none";

/// A table, wider than the page if need be: the first row is its head, the first column names the others.
pub(super) fn table(rows: &[Vec<String>]) -> Markup {
    let Some((head, body)) = rows.split_first() else { return Markup::default() };
    let line = |cell: fn(&String) -> Markup, row: &[String]| {
        tag("tr", &[], row.iter().map(cell).collect::<Markup>())
    };
    let head = line(|text| tag("th", &[("scope", &"col")], text.as_str()), head);
    let body = body.iter().map(|row| line(|text| tag("td", &[], text.as_str()), row));
    let both = [tag("thead", &[], head), tag("tbody", &[], body.collect::<Markup>())];
    tag("div", &[("class", &"wide")], tag("table", &[], both.into_iter().collect::<Markup>()))
}

/// Names and values, one below the other.
pub(super) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Markup {
    let rows = facts.into_iter().map(|(name, value)| {
        let name = tag("th", &[("scope", &"row")], name);
        tag("tr", &[], [name, tag("td", &[], value)].into_iter().collect::<Markup>())
    });
    let body = tag("tbody", &[], rows.collect::<Markup>());
    tag("div", &[("class", &"wide")], tag("table", &[("class", &"facts")], body))
}

/// Every value of a report, as `--json` prints it: what is one value in a table of names and values, every list in one of its
/// own, below it.
pub(super) fn everything(report: &impl Serialize) -> Result<Markup> {
    let value = serde_json::to_value(report).context("the report as JSON")?;
    Ok(node(&Split::of(&value)))
}

/// A value in parts.
#[derive(Default)]
struct Split<'a> {
    /// Paths of single values and of lists of such, and these in words.
    values: Vec<(String, String)>,
    /// Paths of lists of objects, and these.
    lists: Vec<(String, &'a [Value])>,
}

impl<'a> Split<'a> {
    fn of(value: &'a Value) -> Self {
        let mut split = Self::default();
        split.add("", value);
        split
    }

    fn add(&mut self, path: &str, value: &'a Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let path = match path {
                        "" => name.clone(),
                        _ => format!("{path}.{name}"),
                    };
                    self.add(&path, value);
                }
            }
            Value::Array(items) if items.iter().any(|v| v.is_object() || v.is_array()) => {
                self.lists.push((path.into(), items));
            }
            Value::Array(items) if items.is_empty() => {
                self.values.push((path.into(), NONE.into()));
            }
            Value::Array(items) => {
                let words: Vec<String> = items.iter().map(in_words).collect();
                self.values.push((path.into(), words.join(", ")));
            }
            single => self.values.push((path.into(), in_words(single))),
        }
    }

    fn get(&self, path: &str) -> Option<&str> {
        self.values.iter().find(|(p, _)| p == path).map(|(_, value)| value.as_str())
    }
}

/// A single value, numbers with all their digits.
fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => NONE.into(),
        other => other.to_string(),
    }
}

fn node(split: &Split<'_>) -> Markup {
    let mut out = Markup::default();
    if !split.values.is_empty() {
        out.push(facts(split.values.iter().map(|(path, value)| (path.as_str(), value.as_str()))));
    }
    for (path, items) in &split.lists {
        let items: Vec<Split<'_>> = items.iter().map(Split::of).collect();
        let title = format!("{path} ({})", items.len());
        let content = match items.iter().all(|item| item.lists.is_empty()) {
            true => list(&items),
            false => items
                .iter()
                .zip(1..)
                .map(|(item, k)| {
                    let name = item.get("name").or(item.get("configuration.variant"));
                    let title =
                        format!("{path} {k}{}", name.map_or(String::new(), |n| format!(": {n}")));
                    folded(&title, node(item))
                })
                .collect(),
        };
        out.push(folded(&title, content));
    }
    out
}

/// Objects as lines of one table. A column is there for each path that any of them has.
fn list(items: &[Split<'_>]) -> Markup {
    let mut columns: Vec<&str> = Vec::new();
    for (path, _) in items.iter().flat_map(|item| &item.values) {
        if !columns.contains(&path.as_str()) {
            columns.push(path);
        }
    }
    let mut rows = vec![columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()];
    rows.extend(items.iter().map(|item| {
        columns.iter().map(|c| item.get(c).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    }));
    table(&rows)
}

/// What is shown only when its title is clicked.
pub(super) fn folded(title: &str, content: Markup) -> Markup {
    let both = [tag("summary", &[], title), content];
    tag("details", &[], both.into_iter().collect::<Markup>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_value_of_any_report_is_in_a_cell() {
        let report = json!({
            "a": {"b": 1.25, "<c>": null},
            "logits": [0.1, -2e-9],
            "layers": [{"name": "x & y", "ms": 3.5}, {"name": "z", "level": 4}],
            "deep": [{"name": "one", "parts": [{"k": 7}, {"k": [8, 9]}]}, {"parts": [[10], [11, 12]]}],
            "empty": [],
            "right": true,
        });
        let page = everything(&report).unwrap().into_string();
        for cell in [
            "1.25",
            "none",
            "0.1, -2e-9",
            "x &amp; y",
            "3.5",
            "z",
            "4",
            "one",
            "7",
            "8, 9",
            "10",
            "11, 12",
            "true",
            "",
        ] {
            assert!(page.contains(&format!("<td>{cell}</td>")), "{cell}: {page}");
        }
        for title in ["layers (2)", "deep 1: one", "deep 2", "parts (2)"] {
            assert!(page.contains(&format!("<summary>{title}</summary>")), "{title}: {page}");
        }
        assert!(page.contains("empty</th><td>none</td>"));
        assert!(page.contains("<th scope=\"row\">a.b</th>") && page.contains("a.&lt;c&gt;"));
    }
}
