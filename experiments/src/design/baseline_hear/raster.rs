//! HEAR's layouts: every map in rows of one length, positions left where strides found them.

use simulator::config::{InputPacking, LinearChoice, PoolChoice, PoolMethod, Schedule};
use simulator::fold::{Folded, Origin, StageKind};
use simulator::layout::{ChannelOrder, LayoutSpec};

/// Where the maps of a network lie.
#[derive(Debug, Clone)]
pub(super) struct Raster {
    /// Slots of a row, a power of two.
    pitch: usize,
    /// Slots of a map, a power of two: every map has as many, with its gaps.
    pub(super) tile: usize,
    /// For each stage, how many positions of the image lie between two of its result, down and across.
    gaps: Vec<(usize, usize)>,
}

impl Raster {
    /// The raster of a folded network; none where maps have more slots than can be counted.
    pub(super) fn new(folded: &Folded) -> Option<Self> {
        let mut gaps: Vec<(usize, usize)> = Vec::with_capacity(folded.stages.len());
        let (mut rows, mut cols) = (folded.input.height, folded.input.width);
        for stage in &folded.stages {
            let before = match stage.sources[0] {
                Origin::Image => (1, 1),
                Origin::Stage(k) => gaps[k],
            };
            let stride = match &stage.kind {
                StageKind::Linear(linear) => linear.geometry.stride,
                StageKind::SumPool { stride, .. } => *stride,
                StageKind::Square { .. } | StageKind::Quadratic(_) => (1, 1),
            };
            let output = stage.output;
            // A single position has no distance from another.
            let gap = match output.area() {
                1 => (1, 1),
                _ => (before.0.checked_mul(stride.0)?, before.1.checked_mul(stride.1)?),
            };
            let extent = |count: usize, gap: usize| (count - 1).checked_mul(gap)?.checked_add(1);
            // A padding can make maps larger than the image.
            rows = rows.max(extent(output.height, gap.0)?);
            cols = cols.max(extent(output.width, gap.1)?);
            gaps.push(gap);
        }
        let pitch = cols.checked_next_power_of_two()?;
        let tile = pitch.checked_mul(rows.checked_next_power_of_two()?)?;
        Some(Self { pitch, tile, gaps })
    }

    fn map(&self, (down, across): (usize, usize), blocks: usize) -> LayoutSpec {
        LayoutSpec {
            order: ChannelOrder::Sequential,
            phases: 1,
            row: self.pitch * down,
            col: across,
            tile: self.tile,
            blocks,
        }
    }

    /// How the client packs an image into ciphertexts of so many slots, which hold a map at least.
    pub(super) fn input(&self, channels: usize, slots: usize) -> InputPacking {
        let blocks = channels.next_power_of_two().min(slots / self.tile);
        InputPacking { patches: false, padded: false, layout: self.map((1, 1), blocks) }
    }

    /// The choices of the linear stages, which have one schedule each, and of the pools.
    pub(super) fn choices(
        &self,
        folded: &Folded,
        slots: usize,
        schedules: &[Schedule],
    ) -> (Vec<LinearChoice>, Vec<PoolChoice>) {
        let blocks = slots / self.tile;
        let (mut linear, mut pools) = (Vec::new(), Vec::new());
        let mut schedules = schedules.iter();
        for (stage, gap) in folded.stages.iter().zip(&self.gaps) {
            let layer = stage.name.clone();
            match &stage.kind {
                StageKind::Linear(_) => {
                    let layout = match stage.output.area() {
                        1 => LayoutSpec::units(self.tile, blocks),
                        _ => self.map(*gap, blocks),
                    };
                    let schedule = *schedules.next().unwrap_or(&Schedule::DIRECT);
                    linear.push(LinearChoice { layer, layout, schedule, fold: 0, radix: 2 });
                }
                StageKind::SumPool { .. } => {
                    pools.push(PoolChoice { layer, method: PoolMethod::Rotate });
                }
                StageKind::Square { .. } | StageKind::Quadratic(_) => {}
            }
        }
        (linear, pools)
    }
}
