//! Attributes of a node, and what it is called.

use super::error::{OnnxError, Result};
use super::messages::{Attribute, Node};

impl Node {
    /// What messages call it.
    pub(super) fn title(&self) -> &str {
        let output = self.outputs.first().map_or("", String::as_str);
        if self.name.is_empty() { output } else { &self.name }
    }

    /// An error of this node.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> OnnxError {
        let (node, operator) = (self.title().to_owned(), self.operator.clone());
        OnnxError::Node { node, operator, reason: reason.into() }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn wrong(&self, name: &str) -> OnnxError {
        self.refuse(format!("attribute {name} is of another type than the operator's"))
    }

    /// A whole number, or its default.
    pub(super) fn integer(&self, name: &str, default: i64) -> Result<i64> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Attribute::Integer(value)) => Ok(*value),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// A number, or its default.
    pub(super) fn float(&self, name: &str, default: f64) -> Result<f64> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) => Ok(*value),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// A text; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> Result<&str> {
        match self.attribute(name) {
            None => Ok(""),
            Some(Attribute::Text(value)) => Ok(value),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// A list of whole numbers.
    pub(super) fn integers(&self, name: &str) -> Result<Option<&[i64]>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Integers(list)) => Ok(Some(list)),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// So many whole numbers of at least `least`, or as many of a default.
    pub(super) fn sizes<const N: usize>(
        &self,
        name: &str,
        default: usize,
        least: i64,
    ) -> Result<[usize; N]> {
        let Some(list) = self.integers(name)? else { return Ok([default; N]) };
        let mut sizes = [0; N];
        let fits = list.len() == N && list.iter().all(|v| *v >= least);
        if !fits {
            return Err(self.refuse(format!(
                "{name} is {list:?}, expected {N} numbers of at least {least}: two-dimensional layers only, and nothing is \
                 cut off"
            )));
        }
        for (size, value) in sizes.iter_mut().zip(list) {
            *size = usize::try_from(*value).map_err(|_| self.wrong(name))?;
        }
        Ok(sizes)
    }

    /// Axis number `axis` of a tensor of this rank, counted from the end if negative.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let from_start = if axis < 0 { axis.saturating_add_unsigned(rank as u64) } else { axis };
        usize::try_from(from_start)
            .ok()
            .filter(|k| *k < rank)
            .ok_or_else(|| self.refuse(format!("axis {axis} of a tensor of {rank} dimensions")))
    }
}
