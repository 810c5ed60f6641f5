//! Which way each activation is folded.

use serde::{Deserialize, Serialize};

use crate::network::{LayerKind, Network};
use crate::{Error, Result};

/// How an activation is folded.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationMethod {
    /// Completed to a pure square: one level.
    #[default]
    Square,
    /// Completed to a pure square that is not rescaled: the next linear stage's rescale, by a prime of the size of
    /// scale and weights together, serves both. No level of its own; inputs come at the square of the scale.
    PairedSquare,
    /// Square, then a combination of the square and the value: two levels (HEAR's way).
    Quadratic,
}

impl ActivationMethod {
    /// Name, as in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::PairedSquare => "paired-square",
            Self::Quadratic => "quadratic",
        }
    }
}

/// The method of one activation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationChoice {
    /// Name of the layer.
    pub layer: String,
    /// Its method.
    pub method: ActivationMethod,
}

/// How the activations of a network are folded: one method, and exceptions from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Activations {
    /// The method of every layer without an exception.
    pub method: ActivationMethod,
    /// The exceptions, in the order of their names.
    pub exceptions: Vec<ActivationChoice>,
}

impl From<ActivationMethod> for Activations {
    fn from(method: ActivationMethod) -> Self {
        Self { method, exceptions: Vec::new() }
    }
}

impl std::fmt::Display for Activations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.method.name())?;
        self.exceptions.iter().try_for_each(|e| write!(f, ", {} {}", e.layer, e.method.name()))
    }
}

impl Activations {
    /// One method, and exceptions from it in any order.
    pub fn new(method: ActivationMethod, mut exceptions: Vec<ActivationChoice>) -> Self {
        exceptions.sort();
        Self { method, exceptions }
    }

    /// The method of a layer.
    pub fn of(&self, layer: &str) -> ActivationMethod {
        let exception = self.exceptions.iter().find(|e| e.layer == layer);
        exception.map_or(self.method, |e| e.method)
    }

    /// The same but for one layer.
    pub fn with(&self, layer: &str, method: ActivationMethod) -> Self {
        let mut exceptions = self.exceptions.clone();
        exceptions.retain(|e| e.layer != layer);
        if method != self.method {
            exceptions.push(ActivationChoice { layer: layer.to_owned(), method });
        }
        Self::new(self.method, exceptions)
    }

    /// Whether there may be squares that are not rescaled, for which scales have to be planned.
    pub fn pairs(&self) -> bool {
        let paired = ActivationMethod::PairedSquare;
        self.method == paired || self.exceptions.iter().any(|e| e.method == paired)
    }

    /// Checks that every exception is of an activation of the network, and the only one of it.
    ///
    /// # Errors
    /// [`Error::Configuration`] with the field and the name.
    pub fn check(&self, network: &Network) -> Result<()> {
        let all = network.layers.iter().filter(|l| l.kind == LayerKind::Activation);
        let names: Vec<&str> = all.map(|l| l.name.as_str()).collect();
        for (k, exception) in self.exceptions.iter().enumerate() {
            let layer = &exception.layer;
            if !names.contains(&layer.as_str()) {
                return Err(Error::Configuration(format!(
                    "activation.layer is {layer:?}, which is no activation of {}; these are: {}",
                    network.name,
                    if names.is_empty() { "none".into() } else { names.join(", ") }
                )));
            }
            if self.exceptions[..k].iter().any(|e| e.layer == *layer) {
                return Err(Error::Configuration(format!(
                    "activation.layer is {layer:?} twice; remove one"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_replace_each_other_and_end_where_they_are_none() {
        let paired = Activations::from(ActivationMethod::PairedSquare);
        let mixed =
            paired.with("b", ActivationMethod::Quadratic).with("a", ActivationMethod::Square);
        let names: Vec<&str> = mixed.exceptions.iter().map(|e| e.layer.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(mixed.of("a"), ActivationMethod::Square);
        assert_eq!(mixed.of("c"), ActivationMethod::PairedSquare);
        let back = mixed.with("a", ActivationMethod::PairedSquare);
        assert_eq!(back, paired.with("b", ActivationMethod::Quadratic));
        let square = Activations::from(ActivationMethod::Square);
        assert!(mixed.pairs() && !square.pairs());
        assert!(square.with("a", ActivationMethod::PairedSquare).pairs());
    }
}
