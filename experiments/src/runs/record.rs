//! Writing what an evaluation found into a network's own files: the accuracy into its description, bounds into its
//! weights. Everything else in them stays as it is, comments and other tensors included.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use toml_edit::{DocumentMut, Item, TableLike, Value};

use crate::inputs::tensors;
use crate::process::files::write_atomically;
use crate::runs::evaluate::Evaluation;

/// Margin of a recorded bound over the largest value seen: other images reach a little more.
pub const MARGIN: f64 = 1.2;

/// The bounds to record, by layer: the largest values seen with a [`MARGIN`], but never less than the weights say now,
/// which may rest on more images. None for values that were all zero, or no numbers.
pub fn bounds(evaluation: &Evaluation) -> BTreeMap<String, f64> {
    let usable = |bound: &f64| bound.is_finite() && *bound > 0.0;
    evaluation
        .peaks
        .iter()
        .filter_map(|p| {
            let wanted = Some(MARGIN * p.largest).filter(usable)?;
            let kept = p.bound.filter(|bound| p.largest <= *bound);
            Some((p.layer.clone(), kept.unwrap_or(wanted)))
        })
        .collect()
}

/// Writes `<layer>.bound` (F64, one value) into a weight file for each layer, in place of those that are there.
///
/// # Errors
/// A file that cannot be read or written, or that is no safetensors file.
pub fn write_bounds(path: &Path, bounds: &BTreeMap<String, f64>) -> Result<()> {
    let what = || format!("weights {}", path.display());
    let bytes = std::fs::read(path).with_context(what)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).with_context(what)?;
    let file = SafeTensors::deserialize(&bytes).with_context(what)?;
    let values: BTreeMap<String, [u8; 8]> =
        bounds.iter().map(|(layer, b)| (format!("{layer}.bound"), b.to_le_bytes())).collect();
    let mut views: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    for (name, value) in &values {
        views.insert(name.clone(), TensorView::new(Dtype::F64, vec![1], value).with_context(what)?);
    }
    let written = tensors::serialize(views, header.metadata().clone()).with_context(what)?;
    write_atomically(path, &written)
}

/// Writes `accuracy = ...` into the table of a variant of a description file.
///
/// # Errors
/// A file that cannot be read or written, or that has no such variant.
pub fn write_accuracy(path: &Path, variant: &str, accuracy: f64) -> Result<()> {
    let what = || format!("description {}", path.display());
    let text = std::fs::read_to_string(path).with_context(what)?;
    write_atomically(path, with_accuracy(&text, variant, accuracy).with_context(what)?.as_bytes())
}

/// A description with another accuracy of a variant.
fn with_accuracy(text: &str, variant: &str, accuracy: f64) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let variants: Vec<&mut dyn TableLike> = match document.get_mut("variant") {
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter_mut().map(|t| t as &mut dyn TableLike).collect()
        }
        Some(Item::Value(Value::Array(tables))) => tables
            .iter_mut()
            .filter_map(Value::as_inline_table_mut)
            .map(|t| t as &mut dyn TableLike)
            .collect(),
        _ => bail!("there is no [[variant]]; describe one, with the name of its weight file"),
    };
    let table = variants
        .into_iter()
        .find(|t| t.get("name").and_then(Item::as_str) == Some(variant))
        .ok_or_else(|| anyhow!("there is no variant {variant:?}"))?;
    let mut value = Value::from(accuracy);
    if let Some(old) = table.get("accuracy").and_then(Item::as_value) {
        // Spaces and a comment behind it.
        *value.decor_mut() = old.decor().clone();
    }
    table.insert("accuracy", Item::Value(value));
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use simulator::network::Weights;

    use super::*;
    use simulator::network::OUTPUT;

    use crate::runs::evaluate::Peak;

    #[test]
    fn descriptions_keep_all_but_the_accuracy() {
        let text = "# Mine.\nname = \"n\"\n\n[[variant]]\nname = \"a\" # first\nweights = \"a\"\naccuracy =  0.5  # old\n\n\
            # The second.\n[[variant]]\nweights = \"b\"\nname = 'b'\n";
        let wanted = text.replace("0.5", "0.9943");
        assert_eq!(with_accuracy(text, "a", 0.9943).unwrap(), wanted);
        assert_eq!(with_accuracy(text, "b", 1.0).unwrap(), format!("{text}accuracy = 1.0\n"));
        let inline = "variant = [{ name = \"a\", weights = \"w\" }] # one\n";
        let found = with_accuracy(inline, "a", 0.25).unwrap();
        assert_eq!(
            found,
            "variant = [{ name = \"a\", weights = \"w\" , accuracy = 0.25 }] # one\n"
        );
        let error = with_accuracy(text, "c", 0.5).unwrap_err().to_string();
        assert_eq!(error, "there is no variant \"c\"");
        assert!(with_accuracy("name = \"n\"\n", "c", 0.5).is_err());
    }

    #[test]
    fn weights_keep_all_but_the_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let (integers, old, half) = ([1u8, 2, 3], 2.5f32.to_le_bytes(), [0x00u8, 0x3c]);
        let views = [
            ("x", TensorView::new(Dtype::U8, vec![3], &integers).unwrap()),
            ("act.bound", TensorView::new(Dtype::F32, vec![1], &old).unwrap()),
            ("h", TensorView::new(Dtype::F16, vec![1], &half).unwrap()),
        ];
        let metadata = Some([("made".to_owned(), "by hand".to_owned())].into());
        std::fs::write(&path, safetensors::serialize(views, metadata).unwrap()).unwrap();
        let bounds = [("act".to_owned(), 3.75), (OUTPUT.to_owned(), 12.0)].into();
        write_bounds(&path, &bounds).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["made"], "by hand");
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!((file.len(), file.tensor("x").unwrap().data()), (4, &integers[..]));
        assert_eq!(file.tensor("h").unwrap().dtype(), Dtype::F16);
        let read = Weights::read(&path).unwrap();
        assert_eq!(read.expect_shape("act.bound", &[1]).unwrap(), [3.75]);
        assert_eq!(read.expect_shape("output.bound", &[1]).unwrap(), [12.0]);
    }

    #[test]
    fn bounds_are_never_lowered() {
        let peak = |layer: &str, largest, bound| Peak { layer: layer.into(), largest, bound };
        let evaluation = Evaluation {
            images: 1,
            correct: None,
            accuracy: None,
            peaks: vec![
                peak("new", 2.0, None),
                peak("kept", 2.0, Some(9.0)),
                peak("exceeded", 2.0, Some(1.0)),
                peak("zero", 0.0, None),
                peak("none", f64::NAN, None),
            ],
            interrupted: false,
            chance: None,
            per_image: Vec::new(),
        };
        let found = bounds(&evaluation);
        let wanted = [("exceeded", 2.4), ("kept", 9.0), ("new", 2.4)];
        assert_eq!(found, wanted.map(|(layer, b)| (layer.to_owned(), b)).into());
    }
}
