//! The file of a client specification.

use std::io::{Read, Write};

use engine::keys::KeySpec;
use engine::serial::{self, Kind, Sink, Source, write_object};
use simulator::config::image_slots;
use simulator::interpret::ResultErrors;
use simulator::network::{ConvGeometry, Normalisation};

use super::ClientSpec;
use crate::Result;
use crate::wire::{
    get, get_flag, get_info, get_layout, get_level, get_list, get_name, get_records, get_shape,
    put, put_info, put_layout, put_level, put_name, put_shape,
};

impl ClientSpec {
    /// Writes the file: the parameters, then the specification.
    ///
    /// # Errors
    /// The engine's, for what does not fit a file's fields and for the writer's.
    pub fn write(&self, mut writer: impl Write) -> Result<()> {
        serial::write_parameters(&mut writer, &self.params)?;
        let (kind, fingerprint) = (Kind::ClientSpecification, self.params.fingerprint());
        Ok(write_object(writer, kind, fingerprint, |sink| self.payload(sink))?)
    }

    fn payload(&self, sink: &mut Sink<impl Write>) -> engine::Result<()> {
        put_name(sink, &self.network)?;
        let Normalisation { shape, mean, std, contrast } = &self.normalisation;
        put_shape(sink, *shape)?;
        for list in [mean, std] {
            put(sink, "channels", list.len())?;
            list.iter().try_for_each(|v| sink.f64(*v))?;
        }
        for optional in [contrast, &self.bound] {
            sink.u8(u8::from(optional.is_some()))?;
            optional.map_or(Ok(()), |v| sink.f64(v))?;
        }
        put(sink, "images", self.images)?;
        put_layout(sink, &self.input)?;
        sink.u8(u8::from(self.patches.is_some()))?;
        if let Some(g) = &self.patches {
            put_geometry(sink, g)?;
        }
        put_info(sink, self.fresh)?;
        put_keys(sink, &self.keys)?;
        put_layout(sink, &self.output)?;
        put_info(sink, self.result)?;
        sink.u8(u8::from(self.errors.is_some()))?;
        let Some(ResultErrors { count, length, largest, size }) = self.errors else {
            return Ok(());
        };
        put(sink, "results with errors", count)?;
        [length, largest, size].into_iter().try_for_each(|v| sink.f64(v))
    }

    /// Reads a file and checks it. `allow_insecure` accepts parameters below 128-bit security; nothing in the file can.
    ///
    /// # Errors
    /// The engine's: damage, another kind or version, parameters that do not belong to it or are refused.
    pub fn read(mut reader: impl Read, allow_insecure: bool) -> Result<Self> {
        let params = serial::read_parameters(&mut reader, allow_insecure)?;
        let mut source = Source::open_for(reader, Kind::ClientSpecification, params.fingerprint())?;
        let network = get_name(&mut source)?;
        let shape = get_shape(&mut source)?;
        let mean = get_doubles(&mut source)?;
        let std = get_doubles(&mut source)?;
        let contrast = get_optional(&mut source)?;
        let bound = get_optional(&mut source)?;
        let images = get(&mut source)?;
        let slots = image_slots(images, params.log_n()).map_err(|e| source.error(e.to_string()))?;
        let input = get_layout(&mut source, slots)?;
        let patches = match get_flag(&mut source, "whether there are patches")? {
            true => Some(get_geometry(&mut source)?),
            false => None,
        };
        let fresh = get_info(&mut source)?;
        let keys = get_keys(&mut source)?;
        let output = get_layout(&mut source, slots)?;
        let result = get_info(&mut source)?;
        let errors = match get_flag(&mut source, "whether errors are known")? {
            true => Some(ResultErrors {
                count: get(&mut source)?,
                length: source.f64()?,
                largest: source.f64()?,
                size: source.f64()?,
            }),
            false => None,
        };
        source.finish()?;
        let normalisation = Normalisation { shape, mean, std, contrast };
        let mut spec = Self {
            params,
            network,
            normalisation,
            bound,
            images,
            input,
            patches,
            fresh,
            keys,
            output,
            result,
            errors,
        };
        // What phases have in common follows from the rest.
        spec.input.check()?;
        spec.check_patches()?;
        if let Some(g) = &spec.patches {
            spec.input = spec.input.of_patches(g);
        }
        spec.check()?;
        Ok(spec)
    }
}

fn get_doubles<R: Read>(source: &mut Source<R>) -> engine::Result<Vec<f64>> {
    let count = get(source)?;
    get_records(source, count, |bytes| f64::from_le_bytes(*bytes))
}

fn get_optional(source: &mut Source<impl Read>) -> engine::Result<Option<f64>> {
    Ok(match get_flag(source, "whether a number is there")? {
        true => Some(source.f64()?),
        false => None,
    })
}

fn put_geometry(sink: &mut Sink<impl Write>, g: &ConvGeometry) -> engine::Result<()> {
    put_shape(sink, g.input)?;
    put_shape(sink, g.output)?;
    let pairs = [g.kernel, g.stride, g.padding];
    let numbers = pairs.into_iter().flat_map(|(a, b)| [a, b]).chain([g.groups]);
    numbers.into_iter().try_for_each(|v| put(sink, "number of a convolution", v))
}

fn get_geometry(source: &mut Source<impl Read>) -> engine::Result<ConvGeometry> {
    Ok(ConvGeometry {
        input: get_shape(source)?,
        output: get_shape(source)?,
        kernel: (get(source)?, get(source)?),
        stride: (get(source)?, get(source)?),
        padding: (get(source)?, get(source)?),
        groups: get(source)?,
    })
}

fn put_keys(sink: &mut Sink<impl Write>, keys: &KeySpec) -> engine::Result<()> {
    for optional in [keys.relinearisation, keys.conjugation] {
        sink.u8(u8::from(optional.is_some()))?;
        optional.map_or(Ok(()), |level| put_level(sink, level))?;
    }
    put(sink, "rotations", keys.rotations.len())?;
    for (&shift, &level) in &keys.rotations {
        put(sink, "rotation", shift)?;
        put_level(sink, level)?;
    }
    Ok(())
}

fn get_keys(source: &mut Source<impl Read>) -> engine::Result<KeySpec> {
    let mut optional = [None, None];
    for level in &mut optional {
        if get_flag(source, "whether there is a key")? {
            *level = Some(get_level(source)?);
        }
    }
    let [relinearisation, conjugation] = optional;
    let count = get(source)?;
    let rotations = get_list(source, count, 6, |source| Ok((get(source)?, get_level(source)?)))?;
    if rotations.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(source.error("rotations are not ascending"));
    }
    Ok(KeySpec { relinearisation, conjugation, rotations: rotations.into_iter().collect() })
}
