//! Activations that no homomorphic encryption has, and the quadratics that stand for them.

use std::collections::BTreeMap;

use super::messages::Node;

/// Coefficients `a`, `b`, `c` of `a x^2 + b x + c` in place of activations, by the name of a node or of an operator.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Activations(BTreeMap<String, [f64; 3]>);

impl Activations {
    /// Reads `name = [a, b, c]` lines of TOML.
    ///
    /// # Errors
    /// What is wrong with the text, or a number that is not finite.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let map: BTreeMap<String, [f64; 3]> = toml::from_str(text).map_err(|e| e.to_string())?;
        match map.iter().find(|(_, list)| list.iter().any(|v| !v.is_finite())) {
            Some((name, list)) => Err(format!("{name} is {list:?}, expected finite numbers")),
            None => Ok(Self(map)),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Coefficients for a node, or else for its operator.
    pub(super) fn of(&self, node: &str, operator: &str) -> Option<[f64; 3]> {
        self.0.get(node).or_else(|| self.0.get(operator)).copied()
    }
}

/// Operators that are activations by themselves.
const ACTIVATIONS: [&str; 18] = [
    "Relu",
    "LeakyRelu",
    "PRelu",
    "ThresholdedRelu",
    "Elu",
    "Celu",
    "Selu",
    "Gelu",
    "Sigmoid",
    "Tanh",
    "Softplus",
    "Softsign",
    "HardSigmoid",
    "HardSwish",
    "Mish",
    "Swish",
    "Clip",
    "Erf",
];

/// The activation that a gate is with the product of it and its input, which alone must read it: `x sigmoid(x)`.
pub(super) fn gate<'a>(
    node: &Node,
    mut readers: impl Iterator<Item = &'a Node>,
) -> Option<&'static str> {
    let name = match node.operator.as_str() {
        "Sigmoid" => "SiLU",
        "HardSigmoid" => "HardSwish",
        _ => return None,
    };
    let reader = readers.next()?;
    let reads = |input: &String| reader.inputs.contains(input);
    let both = node.inputs.first().is_some_and(reads) && node.outputs.first().is_some_and(reads);
    (reader.operator == "Mul" && both && readers.next().is_none()).then_some(name)
}

/// What to do about an operator that is not known here.
pub(super) fn advice(operator: &str) -> String {
    if ACTIVATIONS.contains(&operator) || operator == "SiLU" {
        return format!(
            "{operator} is no polynomial of degree two, which encrypted inference needs: train with a x^2 + b x + c in its \
             place (x * x, say), or name one for prices without accuracy: --activations FILE with a line \
             `{operator} = [0.1, 0.5, 0.2]` (a, b, c)"
        );
    }
    let instead = match operator {
        "MaxPool" | "GlobalMaxPool" => "train with an average pool in its place",
        "Softmax" | "LogSoftmax" => "export the logits, without it: the class is the same",
        "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "LpNormalization" => {
            "it divides by what depends on the image; train with a batch norm in its place"
        }
        "ReduceMax" | "Sum" => "use additions of two, and means over rows and columns",
        "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" | "QLinearConv" => {
            "export the model before it is quantised"
        }
        "If" | "Loop" | "Scan" => "export without control flow",
        "ConvTranspose" | "Resize" | "Upsample" => "maps can only stay or become smaller here",
        _ => {
            "only convolutions, fully connected layers, average pools, batch norms, quadratics and sums can be encrypted"
        }
    };
    format!("not supported: {instead}")
}
