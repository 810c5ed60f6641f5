//! Markup that is well-formed by construction: text is escaped, attributes are quoted, and what is opened is closed.

use std::fmt::{Display, Write as _};

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Markup(String);

/// Attributes of an element. Values are escaped.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Markup {
    /// What the program itself brings: a style sheet. It must not have `<` or `&`.
    pub(super) fn constant(text: &'static str) -> Self {
        Self(text.into())
    }

    /// Adds what comes after.
    pub(super) fn push(&mut self, next: impl Into<Self>) {
        self.0.push_str(&next.into().0);
    }

    /// Whether nothing would be seen.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As text with its tags.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl From<&str> for Markup {
    fn from(text: &str) -> Self {
        Self(escaped(text))
    }
}

impl From<String> for Markup {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl FromIterator<Markup> for Markup {
    fn from_iter<I: IntoIterator<Item = Markup>>(pieces: I) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }
}

/// An element with a content.
pub(super) fn tag(
    name: &'static str,
    attributes: Attributes<'_>,
    content: impl Into<Markup>,
) -> Markup {
    let Markup(content) = content.into();
    Markup(format!("<{name}{}>{content}</{name}>", written(attributes)))
}

/// An element that has no content, of HTML (`meta`, `img`) or of SVG (`rect`).
pub(super) fn empty(name: &'static str, attributes: Attributes<'_>) -> Markup {
    Markup(format!("<{name}{} />", written(attributes)))
}

fn written(attributes: Attributes<'_>) -> String {
    attributes.iter().fold(String::new(), |mut out, (name, value)| {
        // Writing to a string cannot fail.
        let _ = write!(out, " {name}=\"{}\"", escaped(&value.to_string()));
        out
    })
}

/// Text as it may stand between tags and in quotes.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_hidden(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
        out
    })
}

/// What markup may not have, and what turns the direction of the text after it.
fn is_hidden(c: char) -> bool {
    let control = c.is_control() && !matches!(c, '\t' | '\n');
    let direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    control || direction || matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_users_stays_text() {
        let name = "</td><script>alert('a' & \"b\")</script>\0\u{1b}[1m\u{202e}gnp.exe";
        let shown = tag("td", &[("title", &name)], name).into_string();
        let safe = "&lt;/td&gt;&lt;script&gt;alert(&#39;a&#39; &amp; &quot;b&quot;)&lt;/script&gt;\u{fffd}\u{fffd}[1m\u{fffd}gnp.exe";
        assert_eq!(shown, format!("<td title=\"{safe}\">{safe}</td>"));
        assert_eq!(empty("rect", &[("x", &1.5)]).into_string(), "<rect x=\"1.5\" />");
    }
}
