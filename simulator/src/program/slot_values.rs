//! Slot values of plaintexts, made when they are asked for: a large layer's take many times the memory of its weights.

use std::fmt::Debug;

use super::PlaintextSpec;
use crate::{Error, Result};

/// Where the slot values of a plaintext come from.
pub trait SlotSource: Debug + Send + Sync {
    /// Writes every slot; `slots` is as long as the plaintext's period, after which they repeat.
    fn fill(&self, slots: &mut [f64]);

    /// Bytes that it keeps for this plaintext.
    fn bytes(&self) -> u64;
}

/// The values themselves.
impl SlotSource for Vec<f64> {
    fn fill(&self, slots: &mut [f64]) {
        slots.copy_from_slice(self);
    }

    fn bytes(&self) -> u64 {
        size_of_val(self.as_slice()) as u64
    }
}

impl PlaintextSpec {
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
    /// [`Error::Argument`] for a program lowered without values.
    pub fn period_values(&self) -> Result<Vec<f64>> {
        let Some(source) = &self.values else {
            let expected = "values; lower with values";
            return Err(Error::argument("a plaintext", "lowered for pricing only", expected));
        };
        let mut values = vec![0.0; self.period];
        source.fill(&mut values);
        Ok(values)
    }
}
