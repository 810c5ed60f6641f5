//! Configurations, and what is made of them: the program of a small network.

use simulator::config::Configuration;
use simulator::fold::{Activations, Folded};
use simulator::lowering::lower;
use simulator::network::Model;

use super::scratch::{CONFIGURATION, model, words};
use crate::format::{Format, Toml};
use crate::target::Target;

pub(super) fn all() -> Vec<Box<dyn Target>> {
    model().map(|model| Box::new(Configured { model }) as Box<dyn Target>).into_iter().collect()
}

struct Configured {
    model: Model,
}

/// More that a configuration may have: scales of every value, exceptions, and a layer between.
const MORE: &str = r#"
network = "tiny"
variant = "dense"
activations = "quadratic"
[[activation]]
layer = "act1"
method = "square"
[parameters]
log_n = 12
prime_bits = 36
first_bits = 44
special_bits = 46
special = 2
alpha = 2
levels = 5
[scales]
input_millibits = 36000
layers_millibits = [["conv1", 36000], ["fc1", 36000], ["act1", 36000]]
[input]
patches = true
padded = false
layout = { order = { interleaved = { groups = 4 } }, phases = 1, row = 8, col = 1, tile = 64, blocks = 16 }
[[linear]]
layer = "conv1"
layout = { order = { interleaved = { groups = 4 } }, phases = 1, row = 8, col = 1, tile = 64, blocks = 4 }
schedule = { block = { baby = 2 }, row = true, col = true, double_hoisting = false }
fold = 2
radix = 4
[[linear]]
layer = "fc1"
layout = { order = "sequential", phases = 1, row = 1, col = 1, tile = 64, blocks = 8 }
schedule = { block = "none", row = false, col = false, double_hoisting = true }
fold = 3
radix = 8
[[pools]]
layer = "pool1"
method = { fold = { radix = 2 } }
[[repacks]]
layer = "conv1"
layout = { order = "sequential", phases = 2, row = 8, col = 1, tile = 64, blocks = 4 }
schedule = { block = "none", row = false, col = false, double_hoisting = true }
"#;

impl Target for Configured {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn format(&self) -> &dyn Format {
        &Toml
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let several = CONFIGURATION.replace("[parameters]", "images = 2\n[parameters]");
        [CONFIGURATION, MORE, &several].map(|text| text.as_bytes().to_vec()).to_vec()
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(input).map_err(words)?;
        let configuration = Configuration::from_toml(text).map_err(words)?;
        configuration.check().map_err(words)?;
        let chain = configuration.parameters.ideal_chain().map_err(words)?;
        let activations = Activations::from(&configuration);
        activations.check(&self.model.network).map_err(words)?;
        let folded = Folded::new(&self.model, activations).map_err(words)?;
        lower(&folded, &configuration, &chain, false).map(drop).map_err(words)
    }
}
