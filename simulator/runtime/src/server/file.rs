//! The file of a compiled model.

use std::io::{Read, Write};

use engine::params::Fingerprint;
use engine::serial::{self, Kind, Sink, Source, write_object};
use simulator::chain::Chain;
use simulator::config::image_slots;
use simulator::program::{PlaintextForm, Program, ValueInfo};

use super::CompiledModel;
use super::instructions::{get_instruction, put_instruction};
use super::plaintexts::{Bulk, get_plaintexts, put_plaintexts};
use crate::Result;
use crate::message::Envelope;
use crate::wire::{
    get, get_info, get_list, get_name, get_numbers, get_records, put, put_info, put_name,
    put_numbers,
};

/// Plaintexts are encoded once.
const STORED: u8 = 0;
/// Plaintexts are encoded whenever they are needed.
const ON_DEMAND: u8 = 1;
/// The fewest bytes of an instruction: its operation, an operand, a result, its layer.
const LEAST_INSTRUCTION: usize = 1 + 4 + 4 + 4 + 4;

impl CompiledModel {
    /// Writes the file: the parameters, then the model. Weights that plaintexts have in common are written once, and every bit
    /// of them.
    ///
    /// # Errors
    /// The engine's, for a program lowered without values, for what does not fit a file's fields, and for the writer's.
    pub fn write(&self, mut writer: impl Write) -> Result<()> {
        serial::write_parameters(&mut writer, self.params())?;
        let bulk = Bulk::new(&self.program, self.images.images)?;
        let (kind, fingerprint) = (Kind::CompiledModel, self.params().fingerprint());
        Ok(write_object(writer, kind, fingerprint, |sink| self.payload(sink, &bulk))?)
    }

    fn payload(&self, sink: &mut Sink<impl Write>, bulk: &Bulk<'_>) -> engine::Result<()> {
        sink.bytes(&self.images.spec.0)?;
        put(sink, "images", self.images.images)?;
        put_name(sink, &self.network)?;
        match self.plaintexts {
            PlaintextForm::Stored => sink.u8(STORED)?,
            PlaintextForm::OnDemand { batch_bytes } => {
                sink.u8(ON_DEMAND)?;
                sink.u64(batch_bytes)?;
            }
        }
        put_info(sink, self.results.info)?;
        let Program { layers, values, inputs, instructions, outputs, .. } = &self.program;
        put(sink, "layers", layers.len())?;
        layers.iter().try_for_each(|layer| put_name(sink, layer))?;
        put(sink, "values", values.len())?;
        values.iter().try_for_each(|info| put_info(sink, *info))?;
        put(sink, "inputs", *inputs)?;
        put_plaintexts(sink, &self.program, bulk)?;
        put(sink, "instructions", instructions.len())?;
        instructions.iter().try_for_each(|instruction| put_instruction(sink, instruction))?;
        put_numbers(sink, "output", outputs.iter().copied())
    }

    /// Reads a file and checks the program in it. `allow_insecure` accepts parameters below 128-bit security; nothing in the
    /// file can.
    ///
    /// # Errors
    /// The engine's: damage, another kind or version, parameters that do not belong to it or are refused.
    pub fn read(mut reader: impl Read, allow_insecure: bool) -> Result<Self> {
        let params = serial::read_parameters(&mut reader, allow_insecure)?;
        let mut source = Source::open_for(reader, Kind::CompiledModel, params.fingerprint())?;
        let spec = Fingerprint(source.array()?);
        let images = get(&mut source)?;
        image_slots(images, params.log_n()).map_err(|e| source.error(e.to_string()))?;
        let network = get_name(&mut source)?;
        let plaintexts = match source.u8()? {
            STORED => PlaintextForm::Stored,
            ON_DEMAND => PlaintextForm::OnDemand { batch_bytes: source.u64()? },
            other => {
                let reason =
                    format!("form of plaintexts is {other}, expected {STORED} or {ON_DEMAND}");
                return Err(source.error(reason).into());
            }
        };
        let result = get_info(&mut source)?;
        let layers = get(&mut source)?;
        let layers = get_list(&mut source, layers, 4, |source| get_name(source))?;
        let values = get(&mut source)?;
        let values = get_records(&mut source, values, |bytes: &[u8; 10]| {
            let [l0, l1, scale @ ..] = *bytes;
            let level = usize::from(u16::from_le_bytes([l0, l1]));
            ValueInfo { level, scale: f64::from_le_bytes(scale) }
        })?;
        let inputs = get(&mut source)?;
        let specs = get_plaintexts(&mut source, params.slots(), images)?;
        let count = get(&mut source)?;
        let instructions = get_list(&mut source, count, LEAST_INSTRUCTION, get_instruction)?;
        let outputs = get_numbers(&mut source)?;
        let program = Program {
            slots: params.slots(),
            layers,
            values,
            inputs,
            plaintexts: specs,
            instructions,
            outputs,
        };
        let fault = fault(&program, result, &Chain::from(&params));
        let error = fault.map(|reason| source.error(reason));
        // Damage is to be called damage, not a bad program.
        source.finish()?;
        if let Some(error) = error {
            return Err(error.into());
        }
        let fresh = program.values[0];
        let envelope =
            |kind, each, info| Envelope { kind, params: params.clone(), spec, images, each, info };
        let results = envelope(Kind::EncryptedResults, program.outputs.len(), result);
        let images = envelope(Kind::EncryptedImages, inputs, fresh);
        Ok(Self { network, program, plaintexts, images, results })
    }
}

/// What is wrong with a program, or with the results that are said to come of it.
fn fault(program: &Program, result: ValueInfo, chain: &Chain) -> Option<String> {
    if let Err(error) = program.check(chain) {
        return Some(error.to_string());
    }
    let inputs = program.values.iter().take(program.inputs);
    let outputs = program.outputs.iter().filter_map(|v| program.values.get(*v));
    let (mut fresh, mut left) = (inputs.clone(), outputs.clone());
    let (Some(fresh), Some(left)) = (fresh.next(), left.next()) else {
        return Some("it has no inputs or no outputs".into());
    };
    if inputs.clone().any(|v| !v.same(fresh)) || outputs.clone().any(|v| !v.same(left)) {
        return Some("its inputs or its outputs differ in level or scale".into());
    }
    let fits =
        result.level <= left.level && result.same(&ValueInfo { level: result.level, ..*left });
    (!fits).then(|| format!("results are {result:?}, and its outputs {left:?}"))
}
