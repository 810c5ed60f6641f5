//! Ways through a network, and how they are found again from their end.

use crate::config::{Configuration, InputPacking, LinearChoice, ParameterChoice, PoolChoice};
use crate::fold::Folded;

/// A way through the whole network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    /// Sum of the prices of its instructions, in milliseconds.
    pub(crate) cost: f64,
    pub(crate) input: InputPacking,
    pub(crate) linear: Vec<LinearChoice>,
    pub(crate) pools: Vec<PoolChoice>,
    pub(crate) repacks: Vec<LinearChoice>,
}

impl Path {
    /// That of a configuration, without its price.
    pub(crate) fn of(configuration: &Configuration) -> Self {
        Self {
            cost: 0.0,
            input: configuration.input,
            linear: configuration.linear.clone(),
            pools: configuration.pools.clone(),
            repacks: configuration.repacks.clone(),
        }
    }

    /// Its configuration, with parameters, before scales are planned.
    pub(crate) fn plain(&self, folded: &Folded, parameters: ParameterChoice) -> Configuration {
        Configuration {
            network: folded.name.clone(),
            variant: String::new(),
            images: 1,
            activations: folded.activations.method,
            activation_exceptions: folded.activations.exceptions.clone(),
            parameters,
            scales: None,
            input: self.input,
            linear: self.linear.clone(),
            pools: self.pools.clone(),
            repacks: self.repacks.clone(),
        }
    }
}

/// One step back: where it came from and what was chosen.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) parent: Option<usize>,
    pub(super) choice: Choice,
}

#[derive(Debug, Clone)]
pub(super) enum Choice {
    Input(InputPacking),
    Linear(LinearChoice, Vec<PoolChoice>),
    Repack(LinearChoice),
}

/// Follows a way back to the image.
pub(super) fn follow(cost: f64, end: usize, arena: &[Node]) -> Option<Path> {
    let (mut linear, mut pools, mut repacks) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = Some(end);
    let mut input = None;
    while let Some(node) = at.map(|k| &arena[k]) {
        match &node.choice {
            Choice::Input(packing) => input = Some(*packing),
            Choice::Linear(choice, list) => {
                linear.push(choice.clone());
                pools.extend(list.iter().rev().cloned());
            }
            Choice::Repack(choice) => repacks.push(choice.clone()),
        }
        at = node.parent;
    }
    linear.reverse();
    pools.reverse();
    repacks.reverse();
    Some(Path { cost, input: input?, linear, pools, repacks })
}
