//! What a network said of each image: logits, class, and how sure and how right they are.

use std::fmt::Write as _;

use crate::runs::image_result::ImageResult;

/// A table of comma-separated values, with a line for each image of each candidate: name of the candidate, number of the
/// image from 1, label, class, margin, error, and the logits. What is not known is left empty.
pub fn csv(results: &[(&str, &ImageResult)]) -> String {
    let logits = results.iter().map(|(_, r)| r.logits.len()).max().unwrap_or(0);
    let mut out = "candidate,image,label,class,margin,error".to_owned();
    (0..logits).for_each(|k| _ = write!(out, ",logit_{k}"));
    out.push('\n');
    let shown = |v: Option<String>| v.unwrap_or_default();
    for (name, r) in results {
        let label = shown(r.label.map(|l| l.to_string()));
        let margin = shown(r.margin.map(|m| m.to_string()));
        let error = shown(r.error.map(|e| e.to_string()));
        let name = name.replace('"', "\"\"");
        _ = write!(out, "\"{name}\",{},{label},{},{margin},{error}", r.image, r.class);
        r.logits.iter().for_each(|v| _ = write!(out, ",{v}"));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_errors_and_tables() {
        let plain = ImageResult::new(0, Some(2), &[1.0, 4.0, 3.5], None);
        assert_eq!((plain.class, plain.margin, plain.error), (1, Some(0.5), None));
        let encrypted = ImageResult::new(1, None, &[2.0], Some(&[2.25]));
        assert_eq!((encrypted.margin, encrypted.error), (None, Some(0.25)));
        let table = csv(&[("A, \"best\"", &plain), ("b", &encrypted)]);
        assert_eq!(
            table,
            "candidate,image,label,class,margin,error,logit_0,logit_1,logit_2\n\
             \"A, \"\"best\"\"\",1,2,1,0.5,,1,4,3.5\n\"b\",2,,0,,0.25,2\n"
        );
    }
}
