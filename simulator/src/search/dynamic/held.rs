//! The values that lie between blocks: how they begin, what a block reads of them, and what is left of them after it.

use costmodel::{Primitive, Setting};

use super::{LayoutSearch, Packing};
use crate::config::InputPacking;
use crate::layout::Layout;
use crate::network::ConvGeometry;
use crate::search::beam::Held;
use crate::search::candidates::inputs;
use crate::search::edges::Tail;
use crate::search::problem::Form;
use crate::search::space::Space;

/// What a block reads: the form of its first part, and the layouts of all.
pub(in crate::search) type Read = (usize, Form, Vec<Layout>);

impl LayoutSearch<'_> {
    /// The value that a repack before a block would move, and where it is among those held: what the block before gave.
    pub(super) fn repackable<'v>(
        &self,
        block: usize,
        later: usize,
        values: &'v [Held],
    ) -> Option<(usize, &'v Held)> {
        let at = values.iter().position(|held| held.value == block)?;
        (later > 0 && values[at].form == Form::Plain).then(|| (at, &values[at]))
    }

    /// What a block reads of the values held.
    pub(in crate::search) fn read(&self, block: usize, values: &[Held]) -> Read {
        let sources = &self.blocks[block].sources;
        let held: Vec<&Held> = sources
            .iter()
            .flat_map(|source| values.iter().filter(move |held| held.value == *source))
            .collect();
        assert_eq!(held.len(), sources.len(), "a block's sources are held until it has read them");
        (block, held[0].form, held.iter().map(|h| h.layout.clone()).collect())
    }

    /// The values held after a block.
    pub(in crate::search) fn held_after(
        &self,
        block: usize,
        later: usize,
        values: &[Held],
        result: &Tail,
    ) -> Vec<Held> {
        let read_later = |held: &&Held| match held.value.checked_sub(1) {
            None => self.blocks[block + 1..].iter().any(|b| b.sources.contains(&0)),
            Some(k) => self.blocks[k].last.is_some_and(|last| last > block),
        };
        let mut held: Vec<Held> = values.iter().filter(read_later).cloned().collect();
        let (form, layout) = (result.form, result.layout.clone());
        held.push(Held { value: block + 1, form, later, layout });
        held
    }

    /// What it costs to bring the values that a block reads down to its level.
    pub(in crate::search) fn drops(
        &self,
        block: usize,
        later: usize,
        values: &[Held],
        special: usize,
    ) -> f64 {
        let to = self.blocks[block].levels + later;
        let base = self.settings(block)[self.setting(special, later)];
        let cost = |held: &Held| {
            let after = match held.value.checked_sub(1) {
                None => self.blocks.iter().map(|b| b.levels).max().unwrap_or(0),
                Some(k) => self.blocks[k].after,
            };
            let level = after + held.later;
            if level == to {
                return 0.0;
            }
            let price =
                self.prices.price_ms(&Primitive::DropLevel { to }, &Setting { level, ..base });
            price * held.layout.ciphertexts() as f64
        };
        let read = |source: &usize| values.iter().find(|held| held.value == *source);
        self.blocks[block].sources.iter().filter_map(read).map(cost).sum()
    }

    /// The fewest ciphertexts that the image takes, if these are more than may be sent.
    pub(crate) fn too_many_inputs(&self) -> Option<usize> {
        if !self.packings().is_empty() {
            return None;
        }
        let all = self.packed(&Space { max_inputs: usize::MAX, ..self.space.clone() });
        all.iter().map(|(_, _, layout)| layout.ciphertexts()).min()
    }

    /// Packings of the image for the first block, with the form in which it reads them.
    pub(in crate::search) fn packings(&self) -> &[Packing] {
        self.packings.get_or_init(|| self.packed(self.space))
    }

    /// Those within a space.
    fn packed(&self, space: &Space) -> Vec<Packing> {
        let geometry = |form: Form| -> Option<ConvGeometry> {
            Some(self.blocks.first()?.linear(form)?.1.geometry)
        };
        let Some(plain) = geometry(Form::Plain) else { return Vec::new() };
        let patches = geometry(Form::Patches);
        let slots = self.space.image_slots(self.chain.slots);
        let packed = |packing: InputPacking| {
            let form = if packing.patches { Form::Patches } else { Form::Plain };
            let layout = packing.packed(slots, plain.input, Some(&plain)).ok()?;
            (layout.ciphertexts() <= space.max_inputs).then_some((packing, form, layout))
        };
        let wanted = |p: &InputPacking| self.only.as_ref().is_none_or(|o| o.inputs.contains(p));
        let all = inputs(&plain, patches.as_ref(), slots, space).into_iter();
        all.filter(wanted).filter_map(packed).collect()
    }
}
