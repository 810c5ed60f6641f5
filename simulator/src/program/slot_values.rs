//! Slot values of plaintexts, made when they are asked for: a large layer's take many times the memory of its weights.

use std::sync::Arc;

use super::PlaintextSpec;
use crate::{Error, Result};

/// Where the slot values of a plaintext come from. What several plaintexts have in common is shared.
#[derive(Debug, Clone)]
pub enum SlotValues {
    /// The values of one period themselves, of one image.
    Slots(Arc<Vec<f64>>),
    /// Entries that they are drawn from.
    Drawn(Drawing),
}

/// Slot values as entries of diagonals, moved by a giant rotation.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// The entries, diagonal by diagonal.
    pub entries: Vec<Arc<Vec<Entry>>>,
    /// Position sets: offsets of slots.
    pub sets: Arc<Vec<Vec<usize>>>,
    /// Slots that all are moved by, to the right.
    pub giant: usize,
}

/// A weight at all slots of a position set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// First slot: output base, replica and fold offset.
    pub base: u32,
    /// Position set, an index into [`Drawing::sets`].
    pub set: u32,
    /// The weight, not zero.
    pub weight: f64,
}

impl Drawing {
    /// Bytes of so many entries.
    pub(crate) fn bytes_of(entries: usize) -> u64 {
        (entries * size_of::<Entry>()) as u64
    }
}

impl SlotValues {
    /// Writes every slot of one image; `slots` is as long as the plaintext's period has them, a power of two.
    fn fill(&self, slots: &mut [f64]) {
        match self {
            Self::Slots(values) => slots.copy_from_slice(values),
            Self::Drawn(drawing) => {
                slots.fill(0.0);
                let around = slots.len() - 1;
                for e in drawing.entries.iter().flat_map(|list| list.iter()) {
                    // Makers of drawings see to it that there is one.
                    for offset in drawing.sets.get(e.set as usize).into_iter().flatten() {
                        slots[(e.base as usize + drawing.giant + offset) & around] += e.weight;
                    }
                }
            }
        }
    }

    /// Bytes that it keeps for this plaintext.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Slots(values) => size_of_val(values.as_slice()) as u64,
            Self::Drawn(drawing) => {
                Drawing::bytes_of(drawing.entries.iter().map(|list| list.len()).sum())
            }
        }
    }

    /// What is wrong with it for slots of an image that repeat after `period`, if anything is.
    fn fault(&self, period: usize) -> Option<&'static str> {
        match self {
            Self::Slots(values) => {
                (values.len() != period).then_some("more or fewer slot values than its period")
            }
            Self::Drawn(_) => None,
        }
    }
}

impl From<Vec<f64>> for SlotValues {
    fn from(values: Vec<f64>) -> Self {
        Self::Slots(Arc::new(values))
    }
}

impl PlaintextSpec {
    /// What is wrong with it, given the slots of a ciphertext, if anything is.
    pub(super) fn fault(&self, slots: usize) -> Option<&'static str> {
        if !self.period.is_power_of_two() || self.period > slots {
            return Some("a period that does not divide the slots");
        }
        if !self.images.is_power_of_two() || self.images > self.period {
            return Some("images that do not divide its period");
        }
        self.values.as_ref()?.fault(self.period / self.images)
    }

    /// The slot values, as many as `slots`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a program lowered without values.
    pub fn slot_values(&self, slots: usize) -> Result<Vec<f64>> {
        let mut values = self.period_values()?;
        values.truncate(slots);
        while !values.is_empty() && values.len() < slots {
            values.extend_from_within(..values.len().min(slots - values.len()));
        }
        Ok(values)
    }

    /// The slot values of one period.
    ///
    /// # Errors
    /// [`Error::Argument`] for a program lowered without values, and for values that do not fit the period.
    pub fn period_values(&self) -> Result<Vec<f64>> {
        let Some(source) = &self.values else {
            let expected = "values; lower with values";
            return Err(Error::argument("a plaintext", "lowered for pricing only", expected));
        };
        let mut values = vec![0.0; self.period / self.images];
        source.fill(&mut values);
        if self.images > 1 {
            values = values.iter().flat_map(|v| std::iter::repeat_n(*v, self.images)).collect();
        }
        Ok(values)
    }
}
