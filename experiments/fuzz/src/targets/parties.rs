//! What client and server send each other, and the files of a compiled model.

use anyhow::{Context as _, Result};
use engine::params::Parameters;
use runtime::client::{Client, ClientSpec};
use runtime::message::Envelope;
use runtime::server::CompiledModel;
use runtime::{Compilation, compile};
use simulator::chain::Chain;
use simulator::config::Configuration;
use simulator::fold::Folded;
use simulator::interpret::ResultErrors;
use simulator::lowering::lower;
use simulator::program::PlaintextForm;

use super::framed::{Framed, bytes};
use super::scratch::{CONFIGURATION, model};
use crate::target::Target;

/// One of each kind; none if the small network cannot be compiled, which is told.
pub(super) fn all() -> Vec<Box<dyn Target>> {
    made().unwrap_or_else(|error| {
        eprintln!("nothing of client and server: {error:#}");
        Vec::new()
    })
}

/// Reads all messages of a stream.
fn messages(envelope: &Envelope, mut input: &[u8]) -> runtime::Result<()> {
    while let Some(mut left) = envelope.open(&mut input)? {
        while left > 0 {
            envelope.read(&mut input, &mut left)?;
        }
    }
    Ok(())
}

fn made() -> Result<Vec<Box<dyn Target>>> {
    let model = model().context("the small network")?;
    let configuration = Configuration::from_toml(CONFIGURATION)?;
    let mut literal = configuration.parameters.literal()?;
    literal.allow_insecure = true;
    let params = Parameters::new(&literal)?;
    let folded = Folded::new(&model, &configuration)?;
    let compiled = |plaintexts, errors, images| -> Result<_> {
        let configuration = Configuration { images, ..configuration.clone() };
        let lowered = lower(&folded, &configuration, &Chain::from(&params), true)?;
        let (model, params) = (&model, &params);
        Ok(compile(Compilation { model, params, lowered, plaintexts, reach: Some(1.0), errors })?)
    };
    let errors = ResultErrors { count: 5, length: 0.01, largest: 0.01, size: 1.0 };
    let (spec, stored) = compiled(PlaintextForm::Stored, Some(errors), 1)?;
    let (plain, on_demand) = compiled(PlaintextForm::OnDemand { batch_bytes: 1 << 20 }, None, 2)?;
    let client = Client::generate(spec.clone())?;
    let values = spec.normalisation.shape.len();
    let images = |count| vec![vec![0.5; values]; count].into_iter();
    let envelope = spec.images()?;
    let sent = vec![
        bytes(|out| client.write_images(out, images(1)))?,
        bytes(|out| client.write_images(out, images(2)))?,
    ];
    Ok(vec![
        Box::new(Framed {
            name: "client-specification",
            seeds: vec![bytes(|out| spec.write(out))?, bytes(|out| plain.write(out))?],
            read: |input: &[u8]| ClientSpec::read(input, true).map(drop),
        }),
        Box::new(Framed {
            name: "compiled-model",
            seeds: vec![bytes(|out| stored.write(out))?, bytes(|out| on_demand.write(out))?],
            read: |input: &[u8]| CompiledModel::read(input, true).map(drop),
        }),
        Box::new(Framed {
            name: "images",
            seeds: sent,
            read: move |input: &[u8]| messages(&envelope, input),
        }),
    ])
}
