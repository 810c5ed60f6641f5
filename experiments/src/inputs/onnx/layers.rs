//! The layers that an import adds: their names and weights, and those that do what is left to be done on a map.

use std::rc::Rc;

use simulator::network::{LayerKind, Padding, Source, Window};

use super::error::Result;
use super::import::Importer;
use super::map::{Map, Polynomial};

impl Importer<'_> {
    /// A name for the next layer of a kind.
    pub(super) fn name(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        format!("{kind}{count}")
    }

    /// Adds a layer that reads a map on which nothing is left to be done.
    pub(super) fn layer(&mut self, name: &str, kind: LayerKind, sources: &[Source]) -> Result<Map> {
        let linear = matches!(kind, LayerKind::Conv { .. } | LayerKind::Fc { .. });
        let source = self.builder.layer(name, kind, sources)?;
        if let (true, Source::Layer(number)) = (linear, source) {
            self.linear.insert(number, name.to_owned());
        }
        Ok(Map::of(source, self.builder.shape(source)))
    }

    /// Notes a tensor of a layer, if weights are wanted.
    pub(super) fn weight(&mut self, name: String, shape: &[usize], data: Vec<f64>) -> Result<()> {
        match &mut self.weights {
            Some(weights) => Ok(weights.insert(&name, shape, data)?),
            None => Ok(()),
        }
    }

    /// The same map with everything done by layers that was left to be done.
    pub(super) fn materialised(&mut self, map: Map) -> Result<Map> {
        let mut map = map;
        if !map.polynomial.is_identity() && !self.absorb(&map)? {
            let (p, n) = (map.polynomial.clone(), map.shape.channels);
            let read = match map.source {
                Source::Input => None,
                Source::Layer(number) => Some(number),
            };
            let known = self.done.get(&read).and_then(|all| all.iter().find(|(q, _)| *q == p));
            let done = if let Some((_, source)) = known {
                Map::of(*source, map.shape)
            } else if p.is_line() {
                let name = self.name("scale");
                let kind = LayerKind::BatchNorm { epsilon: 0.0, affine: true };
                let done = self.layer(&name, kind, &[map.source])?;
                self.weight(format!("{name}.weight"), &[n], p.b)?;
                self.weight(format!("{name}.bias"), &[n], p.c)?;
                self.weight(format!("{name}.running_mean"), &[n], vec![0.0; n])?;
                self.weight(format!("{name}.running_var"), &[n], vec![1.0; n])?;
                done
            } else {
                let name = self.name("act");
                let done = self.layer(&name, LayerKind::Activation, &[map.source])?;
                let data = [p.a, p.b, p.c].concat();
                self.weight(format!("{name}.coeffs"), &[3, n], data)?;
                done
            };
            let all = self.done.entry(read).or_default();
            if !all.iter().any(|(_, source)| *source == done.source) {
                all.push((map.polynomial.clone(), done.source));
            }
            map = Map { source: done.source, alone: false, ..map };
        }
        map.polynomial = Polynomial::identity(map.shape.channels);
        if !map.padding.is_none() {
            let name = self.name("pad");
            let window = Window { padding: map.padding, ..Window::square(1, 1, 0) };
            let kind = LayerKind::AvgPool { window, count_include_pad: true };
            let done = self.layer(&name, kind, &[map.source])?;
            let (source, shape) = (done.source, done.shape);
            map = Map { source, shape, padding: Padding::default(), alone: true, ..map };
        }
        Ok(map)
    }

    /// Adds constants to the bias of the layer before, if nothing else reads it. Tells whether it did.
    fn absorb(&mut self, map: &Map) -> Result<bool> {
        let Source::Layer(number) = map.source else { return Ok(false) };
        let Some(name) = self.linear.get(&number).filter(|_| map.alone) else { return Ok(false) };
        if !map.polynomial.is_shift() {
            return Ok(false);
        }
        if let Some(weights) = &mut self.weights {
            let key = format!("{name}.bias");
            let known = weights.expect_shape(&key, &[map.shape.channels])?;
            let sum = known.iter().zip(&map.polynomial.c).map(|(b, c)| b + c).collect();
            weights.insert(&key, &[map.shape.channels], sum)?;
        }
        Ok(true)
    }

    /// Its flattened form, on which numbers by value are numbers by channel.
    pub(super) fn flattened(&mut self, map: Map) -> Result<Map> {
        let map = self.materialised(map)?;
        let rank = map.dims.len();
        let order = (!map.is_straight()).then(|| Rc::new(map.places()));
        let flat = (0..rank).position(|k| !map.axes_of(k).is_empty()).unwrap_or(0);
        let name = self.name("flatten");
        let done = self.layer(&name, LayerKind::Flatten, &[map.source])?;
        let mut dims = vec![Vec::new(); rank];
        dims[flat] = vec![0];
        Ok(Map { dims, order, ..done })
    }
}
