//! From a lowered network to what client and server need of it.

use engine::params::Parameters;
use simulator::chain::Chain;
use simulator::interpret::ResultErrors;
use simulator::lowering::Lowered;
use simulator::network::Model;
use simulator::program::{PlaintextForm, ValueInfo, room};

use crate::client::ClientSpec;
use crate::server::CompiledModel;
use crate::{Error, Result};

/// A lowered network, and what is to be known of it beside.
pub struct Compilation<'a> {
    /// The network with its weights.
    pub model: &'a Model,
    /// The parameters that it was lowered for.
    pub params: &'a Parameters,
    /// The lowered network; with values, if the model is to be run.
    pub lowered: Lowered,
    /// How plaintexts are kept unless the server is told otherwise.
    pub plaintexts: PlaintextForm,
    /// The most that any slot of a result is in absolute value, empty ones included: that of a few images, times
    /// [`room::MARGIN_BITS`]. Results are brought down to the lowest level that has room for it. None if it is not known.
    pub reach: Option<f64>,
    /// Errors expected in its results, where they were simulated.
    pub errors: Option<ResultErrors>,
}

/// Takes apart what a client needs and what a server needs.
///
/// # Errors
/// [`Error::Argument`] for results of different levels or scales; those of [`ClientSpec::check`].
pub fn compile(compilation: Compilation<'_>) -> Result<(ClientSpec, CompiledModel)> {
    let Compilation { model, params, lowered, plaintexts, reach, errors } = compilation;
    let program = lowered.program;
    let infos = |values: &[usize]| -> Result<ValueInfo> {
        let mut all = values.iter().filter_map(|v| program.values.get(*v));
        let first = *all.next().ok_or_else(|| Error::argument("values", "none", "at least one"))?;
        match all.find(|other| !other.same(&first)) {
            None => Ok(first),
            Some(other) => {
                let [found, expected] = [*other, first].map(|info| format!("{info:?}"));
                Err(Error::argument("an input or output", found, expected))
            }
        }
    };
    let fresh = infos(&(0..program.inputs).collect::<Vec<_>>())?;
    let left = infos(&program.outputs)?;
    let chain = Chain::from(params);
    let has_room = |level: &usize| {
        let info = ValueInfo { level: *level, ..left };
        reach.is_some_and(|reach| room::check("", reach, info, &chain).is_ok())
    };
    let level = (0..left.level).find(has_room).unwrap_or(left.level);
    let normalisation = model.network.normalisation();
    // Bounds are of what was trained: pixels from 0 to 1, if these are normalised here and not before.
    let bounded = !model.bounds.activations.is_empty();
    let bound = bounded.then(|| normalisation.largest()).flatten();
    let spec = ClientSpec {
        params: params.clone(),
        network: model.network.name.clone(),
        normalisation,
        bound,
        images: lowered.images,
        input: lowered.input,
        patches: lowered.patches,
        fresh,
        keys: program.keys(),
        output: lowered.output,
        result: ValueInfo { level, ..left },
        errors,
    };
    spec.check()?;
    let (images, results) = (spec.images()?, spec.results()?);
    let network = spec.network.clone();
    let model = CompiledModel { network, program, plaintexts, images, results };
    Ok((spec, model))
}
