//! A report as one page to look at: no scripts, nothing from elsewhere, dark and light. Its tables have the very rows that are
//! printed as text, and at its end is every value that `--json` prints.

mod bars;
mod images;
mod markup;
mod picture;
mod points;
mod run;
mod search;
mod svg;
mod table;
mod validation;

use costmodel::machine::describe_threads;

use crate::machine::memory::show_bytes;
use crate::machine::provenance::Provenance;
use markup::{Attributes, Markup, empty, tag};

pub use run::run;
pub use search::{Found, SearchPage, search};
pub use validation::validation;

const STYLE: &str = include_str!("style.css");
/// Nothing may be loaded or run, whatever got into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A page with a title, of its sections.
fn page(title: &str, sections: impl IntoIterator<Item = Markup>) -> String {
    let meta = |attributes: Attributes<'_>| empty("meta", attributes);
    let head = [
        meta(&[("charset", &"utf-8")]),
        meta(&[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]),
        meta(&[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]),
        meta(&[("name", &"color-scheme"), ("content", &"light dark")]),
        tag("title", &[], title),
        tag("style", &[], Markup::constant(STYLE)),
    ];
    let head = tag("head", &[], head.into_iter().collect::<Markup>());
    let body = tag("body", &[], sections.into_iter().collect::<Markup>());
    let both = [head, body].into_iter().collect::<Markup>();
    format!("<!DOCTYPE html>\n{}\n", tag("html", &[("lang", &"en")], both).into_string())
}

/// The head of a page: what it is of, a line below, and what must be known before any number.
fn headline(title: &str, below: &str, warnings: &[String]) -> Markup {
    let mut out = tag("h1", &[], title);
    out.push(tag("p", &[("class", &"faint")], below));
    out.push(
        warnings
            .iter()
            .map(|warning| tag("p", &[("class", &"alarm")], warning.as_str()))
            .collect::<Markup>(),
    );
    tag("header", &[], out)
}

/// The few numbers that matter most: what they are, and the numbers in words.
fn tiles(tiles: &[(String, String)]) -> Markup {
    let tile = |(what, value): &(String, String)| {
        let both = [tag("b", &[], value.as_str()), tag("span", &[], what.as_str())];
        tag("div", &[("class", &"tile")], both.into_iter().collect::<Markup>())
    };
    tag("div", &[("class", &"tiles")], tiles.iter().map(tile).collect::<Markup>())
}

/// A part of the page; nothing where it has nothing to show.
fn section(title: &str, parts: impl IntoIterator<Item = Markup>) -> Markup {
    let parts: Markup = parts.into_iter().collect();
    if parts.is_empty() {
        return parts;
    }
    let mut out = tag("h2", &[], title);
    out.push(parts);
    tag("section", &[], out)
}

/// What colours mean.
fn key<'a>(colours: impl IntoIterator<Item = (&'a str, &'a str)>) -> Markup {
    let parts = colours
        .into_iter()
        .flat_map(|(class, name)| [tag("i", &[("class", &class)], ""), Markup::from(name)]);
    tag("p", &[("class", &"key")], parts.collect::<Markup>())
}

/// Lines of text.
fn lines(lines: &[String]) -> Markup {
    lines.iter().map(|line| tag("p", &[], line.as_str())).collect()
}

/// Machine and making of a report.
fn provenance(p: &Provenance) -> Markup {
    let caches = [p.l1_bytes, p.l2_bytes, p.l3_bytes].map(show_bytes).join(", ");
    let facts = [
        ("machine", format!("{}, {} kernels", p.cpu, p.isa)),
        ("threads", describe_threads(p.machine_threads, p.machine_threads_by, p.machine_cpus)),
        ("memory", show_bytes(p.machine_memory_bytes)),
        ("caches", caches),
        ("profile", p.profile.clone().unwrap_or_else(|| "none".into())),
        ("revision", p.revision.clone()),
        ("date", p.date.clone()),
        ("seed", p.seed.to_string()),
        ("command", p.command.clone()),
    ];
    let facts = table::facts(facts.iter().map(|(name, value)| (*name, value.as_str())));
    section("Machine and provenance", [facts])
}

/// Every value of the report.
fn everything(report: &impl serde::Serialize) -> anyhow::Result<Markup> {
    Ok(section("Every value, as --json prints it", [table::everything(report)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_needs_no_escapes_and_loads_nothing() {
        assert!(
            !STYLE.contains(['<', '&']) && !STYLE.contains("url(") && !STYLE.contains("@import")
        );
        assert!(STYLE.contains("prefers-color-scheme: dark"));
    }
}
