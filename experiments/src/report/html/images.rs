//! The images of a run: which classes were taken for which, and the images that went worst.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::markup::{Markup, tag};
use super::picture::picture;
use super::table::table;
use crate::inputs::images::Pictures;
use crate::runs::image_result::ImageResult;

/// Images shown for each way of being bad.
const SHOWN: usize = 8;
/// Most classes of a table of all pairs; of more, the pairs that were mistaken are listed.
const CLASSES: usize = 24;

/// How often images of a label had a class; nothing where labels are unknown.
pub(super) fn confusion(results: &[ImageResult]) -> Markup {
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (label, class) in results.iter().filter_map(|r| Some((r.label?, r.class))) {
        *counts.entry((label, class)).or_default() += 1;
    }
    let seen: BTreeSet<usize> = counts.keys().flat_map(|(label, class)| [*label, *class]).collect();
    if seen.is_empty() {
        return tag("p", &[], "The labels of these images are unknown.");
    }
    if seen.len() > CLASSES {
        let mut rows = vec![["label", "class", "images"].map(str::to_owned).to_vec()];
        let mistaken = counts.iter().filter(|((label, class), _)| label != class);
        rows.extend(mistaken.map(|((l, c), n)| [l, c, n].map(ToString::to_string).to_vec()));
        return table(&rows);
    }
    let head = seen.iter().map(|class| format!("class {class}"));
    let mut rows = vec![std::iter::once(String::new()).chain(head).collect::<Vec<_>>()];
    for label in &seen {
        let of = |class: &usize| {
            counts.get(&(*label, *class)).map_or(String::new(), ToString::to_string)
        };
        rows.push(std::iter::once(format!("label {label}")).chain(seen.iter().map(of)).collect());
    }
    table(&rows)
}

/// The images that went worst: those of another class than their label, then those whose two largest logits are closest; and
/// those whose logits are furthest from the unencrypted network's.
pub(super) fn worst(results: &[ImageResult], pictures: &Pictures) -> Result<Markup> {
    let wrong = |r: &ImageResult| r.label.is_some_and(|label| label != r.class);
    let mut doubtful: Vec<&ImageResult> = results.iter().collect();
    doubtful.sort_by(|a, b| {
        let margin = |r: &ImageResult| r.margin.unwrap_or(f64::INFINITY);
        wrong(b).cmp(&wrong(a)).then(margin(a).total_cmp(&margin(b)))
    });
    let mut noisy: Vec<&ImageResult> = results.iter().collect();
    noisy.sort_by(|a, b| {
        let error = |r: &ImageResult| r.error.unwrap_or(0.0);
        error(b).total_cmp(&error(a))
    });
    let mut out = Markup::default();
    for (title, images) in [
        ("Of another class than their label, then of least margin", doubtful),
        ("Of largest errors of a logit", noisy),
    ] {
        out.push(tag("h3", &[], title));
        let shown = images.into_iter().take(SHOWN).map(|r| figure(r, pictures));
        out.push(tag("div", &[("class", &"images")], shown.collect::<Result<Markup>>()?));
    }
    Ok(out)
}

/// An image and what came out for it.
fn figure(r: &ImageResult, pictures: &Pictures) -> Result<Markup> {
    let about = format!("image {}", r.image);
    let drawn = match r.image.checked_sub(1).and_then(|k| pictures.image(k)) {
        Some(values) => picture(&values, pictures.shape(), &about)?,
        None => Markup::default(),
    };
    let label = r.label.map_or(String::new(), |label| format!(", label {label}"));
    let margin = r.margin.map_or(String::new(), |margin| format!("margin {margin:.4}"));
    let error = r.error.map_or(String::new(), |error| format!("error {error:.2e}"));
    let lines = [about, format!("class {}{label}", r.class), margin, error];
    let lines = lines.into_iter().filter(|text| !text.is_empty());
    let caption = lines.map(|text| tag("span", &[], text)).collect::<Markup>();
    let class = match r.label {
        Some(label) if label != r.class => "wrong",
        _ => "",
    };
    let both = [drawn, tag("figcaption", &[], caption)];
    Ok(tag("figure", &[("class", &class)], both.into_iter().collect::<Markup>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(image: usize, label: Option<usize>, class: usize) -> ImageResult {
        let mut logits = vec![0.0; class + 1];
        logits[class] = 1.0 + image as f64;
        ImageResult::new(image, label, &logits, None)
    }

    #[test]
    fn classes_are_counted_by_label() {
        let all = [(3, 3), (3, 3), (3, 5), (5, 5)];
        let results: Vec<_> =
            all.iter().zip(0..).map(|((l, c), k)| result(k, Some(*l), *c)).collect();
        let page = confusion(&results).into_string();
        assert!(page.contains("<td>label 3</td><td>2</td><td>1</td>"), "{page}");
        assert!(page.contains("<td>label 5</td><td></td><td>1</td>"), "{page}");
        let unknown = confusion(&[result(0, None, 1)]).into_string();
        assert!(unknown.contains("unknown"), "{unknown}");
    }

    #[test]
    fn of_many_classes_mistaken_pairs_are_listed() {
        let mut results: Vec<_> = (0..40).map(|k| result(k, Some(k), k)).collect();
        results.extend([result(40, Some(7), 9), result(41, Some(7), 9)]);
        let page = confusion(&results).into_string();
        assert!(page.contains("<td>7</td><td>9</td><td>2</td>"), "{page}");
        assert_eq!(page.matches("<tr>").count(), 2);
    }

    #[test]
    fn the_worst_come_first_and_are_marked() {
        let result = |k, label, logits: &[f64], exact: &[f64]| {
            ImageResult::new(k, Some(label), logits, Some(exact))
        };
        // The first is right and sure, the second right by little, the third wrong; the first has the largest error.
        let results = [
            result(0, 0, &[5.0, 0.0], &[5.5, 0.0]),
            result(1, 1, &[1.0, 1.1], &[1.0, 1.1]),
            result(2, 1, &[9.0, 1.0], &[9.0, 1.25]),
        ];
        let pictures = Pictures::Digits { count: 3, seed: 1 };
        let page = worst(&results, &pictures).unwrap().into_string();
        let order: Vec<&str> = page.split("alt=\"image ").skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(order, ["3", "2", "1", "1", "3", "2"]);
        assert_eq!(page.matches("<figure class=\"wrong\">").count(), 2);
        assert!(page.contains("<span>class 0, label 1</span><span>margin 8.0000</span>"), "{page}");
    }
}
