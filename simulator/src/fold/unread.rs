//! Which channels of a stage's result nothing reads.

use super::{Folded, LinearStage, Origin, StageKind};

impl Folded {
    /// For each stage, the channels of its result that nothing reads, ascending: every weight by which another stage reads
    /// them is zero, or is of a channel that is itself unread. The network's result is read whole.
    pub fn unread(&self) -> Vec<Vec<usize>> {
        let mut read: Vec<Vec<bool>> =
            self.stages.iter().map(|stage| vec![false; stage.output.channels]).collect();
        if let Some(last) = read.last_mut() {
            last.fill(true);
        }
        for (k, stage) in self.stages.iter().enumerate().rev() {
            let (before, own) = read.split_at_mut(k);
            let own = &own[0];
            for (part, source) in stage.sources.iter().enumerate() {
                let Origin::Stage(source) = *source else { continue };
                let sources = before[source].iter_mut().enumerate();
                match &stage.kind {
                    StageKind::Linear(linear) => {
                        let reads = reads(linear, part, own);
                        sources.for_each(|(channel, read)| *read |= reads[channel]);
                    }
                    _ => sources.for_each(|(channel, read)| *read |= own[channel]),
                }
            }
        }
        let unread = |read: Vec<bool>| (0..read.len()).filter(|c| !read[*c]).collect();
        read.into_iter().map(unread).collect()
    }
}

/// Whether a part of a stage reads each of its input channels, given which of the output channels are read.
fn reads(linear: &LinearStage, part: usize, read: &[bool]) -> Vec<bool> {
    let Some(part) = linear.parts().nth(part) else {
        unreachable!("a stage has a source for each of its parts");
    };
    let g = &part.geometry;
    let mut reads = vec![false; g.input.channels];
    let (area, per_out) = (g.kernel.0 * g.kernel.1, g.input.channels / g.groups);
    for o in (0..g.output.channels).filter(|o| read[*o]) {
        for k in 0..per_out {
            let read = &mut reads[g.input_channel(o, k)];
            *read =
                *read || part.weights[(o * per_out + k) * area..][..area].iter().any(|w| *w != 0.0);
        }
    }
    reads
}
