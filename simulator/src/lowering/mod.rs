//! Lowering: a folded network and a configuration become a [`Program`].

mod activation;
mod alike;
mod builder;
mod census;
mod count;
mod diagonals;
mod found;
mod linear;
mod outline;
mod pieces;
mod pool;
mod positions;
mod scales;
mod schedule;
mod signature;
mod sorting;
mod stages;

use std::collections::BTreeMap;

use crate::chain::Chain;
use crate::config::{Configuration, image_slots};
use crate::fold::{Folded, Origin, StageKind, im2col};
use crate::layout::{Layout, interleave, of_image, pack, unpack};
use crate::network::ConvGeometry;
use crate::program::{Program, ValueId, ValueInfo, room};
use crate::{Error, Result};
use pieces::Piece;
use sorting::Fill;
use stages::{Prepared, prepare};

pub use diagonals::{Contents, Diagonal, Diagonals, check_mask};
pub use positions::{Reach, Spot};
pub use schedule::{LinearPlan, Partial, PlanTerm};
pub use signature::Signature;
pub use stages::LinearForm;

pub(crate) use builder::Builder;
pub(crate) use census::{Alive, Census, NEVER, STEPS, Table};
pub(crate) use count::{Counter, Shapes};
pub(crate) use diagonals::Splitter;
pub(crate) use linear::{LinearEmission, fold};
pub(crate) use outline::Outline;
pub(crate) use pieces::{emit, pieces, readers};
pub(crate) use positions::first_offsets;

/// Ciphertext values and the layout of the map they hold.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) values: Vec<ValueId>,
    pub(crate) layout: Layout,
}

/// A program, with how to make its inputs and read its outputs.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// The program.
    pub program: Program,
    /// Images of a ciphertext: slot `s` of image `i` is slot `s * images + i`.
    pub images: usize,
    /// Layout of the encrypted input, in the slots of an image.
    pub input: Layout,
    /// If the client makes patches: of which convolution.
    pub patches: Option<ConvGeometry>,
    /// Layout of the outputs, in the slots of an image.
    pub output: Layout,
    /// The linear layers, in order; without repacks.
    pub linear: Vec<Placed>,
}

/// Where a linear layer finds its input and leaves its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Name of the layer.
    pub layer: String,
    /// Its own convolution, whatever the form.
    pub geometry: ConvGeometry,
    /// In which form it is computed.
    pub form: LinearForm,
    /// Layout of what it reads in that form: the map, the map before the pool, or patches.
    pub input: Layout,
    /// Layout of its result.
    pub output: Layout,
    /// Slot-index bits summed up by rotations.
    pub fold: usize,
}

impl Lowered {
    /// Slot vectors to encrypt for a normalised image (`[channel][row][column]`). Where a ciphertext has several images, it is
    /// the first, and the others are zero.
    ///
    /// # Errors
    /// Those of [`pack_images`].
    pub fn encode(&self, image: &[f64]) -> Result<Vec<Vec<f64>>> {
        self.encode_images(&[image])
    }

    /// Slot vectors to encrypt for up to as many normalised images as a ciphertext has.
    ///
    /// # Errors
    /// Those of [`pack_images`].
    pub fn encode_images<I: AsRef<[f64]>>(&self, images: &[I]) -> Result<Vec<Vec<f64>>> {
        pack_images((&self.input, self.images), self.patches.as_ref(), images)
    }

    /// Slot vectors to encrypt for many normalised images, of as many at a time as a ciphertext has: those of
    /// `images.chunks(self.images)`.
    ///
    /// # Errors
    /// Those of [`pack_images`].
    pub(crate) fn encode_groups(&self, images: &[Vec<f64>]) -> Result<Vec<Vec<Vec<f64>>>> {
        images.chunks(self.images).map(|some| self.encode_images(some)).collect()
    }

    /// The largest absolute value of any slot of the program's outputs that holds no result; zero if there is none.
    ///
    /// # Errors
    /// [`Error::Argument`] for another number of slot vectors.
    pub fn beside(&self, outputs: &[Vec<f64>]) -> Result<f64> {
        let mut rest = outputs.to_vec();
        let count = self.output.ciphertexts();
        if outputs.len() != count {
            return Err(Error::argument("number of slot vectors", outputs.len(), count));
        }
        let shape = self.output.shape;
        for k in 0..shape.len() {
            let (x, line) = (k % shape.width, k / shape.width);
            let (ct, slot) = self.output.locate(line / shape.height, line % shape.height, x);
            let each = rest[ct].chunks_mut(self.images).skip(slot).step_by(self.output.period);
            each.for_each(|slot| slot.fill(0.0));
        }
        Ok(rest.iter().flatten().fold(0.0, |m, v| v.abs().max(m)))
    }

    /// The network's result from the slot vectors of the program's outputs: that of the first image.
    ///
    /// # Errors
    /// Those of [`unpack`].
    pub fn decode(&self, outputs: &[Vec<f64>]) -> Result<Vec<f64>> {
        unpack_image((&self.output, self.images), outputs, 0)
    }

    /// The results of the first `count` images of a ciphertext; of all, if it has fewer.
    ///
    /// # Errors
    /// Those of [`unpack`].
    pub fn decode_images(&self, outputs: &[Vec<f64>], count: usize) -> Result<Vec<Vec<f64>>> {
        let all = 0..count.min(self.images);
        all.map(|i| unpack_image((&self.output, self.images), outputs, i)).collect()
    }
}

/// Slot vectors to encrypt for a normalised image (`[channel][row][column]`), in the layout of the input; `patches` is the
/// convolution whose patches the client makes, if it makes any.
///
/// # Errors
/// Those of [`pack`]; [`Error::Argument`] for an image of another length.
pub fn pack_image(
    input: &Layout,
    patches: Option<&ConvGeometry>,
    image: &[f64],
) -> Result<Vec<Vec<f64>>> {
    match patches {
        Some(g) => pack(input, &im2col(g, image)?),
        None => pack(input, image),
    }
}

/// The same for up to `count` images in a ciphertext, `input` being the layout in the slots that each has. Places of images
/// that there are not hold zeros.
///
/// # Errors
/// Those of [`pack_image`], and [`Error::Argument`] for no image or more than `count`.
pub fn pack_images<I: AsRef<[f64]>>(
    (input, count): (&Layout, usize),
    patches: Option<&ConvGeometry>,
    images: &[I],
) -> Result<Vec<Vec<f64>>> {
    let each = images.iter().map(|image| pack_image(input, patches, image.as_ref()));
    interleave(each.collect::<Result<_>>()?, count)
}

/// The result of image number `image` of `count` in a ciphertext.
///
/// # Errors
/// Those of [`unpack`].
pub fn unpack_image(
    (output, count): (&Layout, usize),
    slots: &[Vec<f64>],
    image: usize,
) -> Result<Vec<f64>> {
    unpack(output, &of_image(slots, image, count))
}

/// Lowers a folded network. With `values` false, plaintexts have no slot values (for pricing); the program
/// is otherwise the same.
///
/// # Errors
/// [`Error::Depth`] for a chain of too few levels, [`Error::Room`] for one whose primes have no room for values as large
/// as the network's bounds allow, and others for a configuration that does not fit the network.
pub fn lower(
    folded: &Folded,
    configuration: &Configuration,
    chain: &Chain,
    values: bool,
) -> Result<Lowered> {
    let images = configuration.images;
    let slots = image_slots(images, chain.log_n)?;
    let fits = |e: Error| e.of_images(images, slots);
    let Prepared { pieces, depths, forms, input, patches } =
        prepare(folded, configuration, slots).map_err(fits)?;
    let depth = depths.iter().copied().max().unwrap_or(0);
    check_depth(&pieces, &depths, chain.levels())?;
    let scale = match &configuration.scales {
        Some(plan) => plan.input(),
        None if folded.activations.pairs() => chain.scale * chain.scale,
        None => chain.scale,
    };
    let fresh = ValueInfo { level: depth, scale };
    let mut b = Builder::new(chain, slots, values, input.ciphertexts(), fresh);
    let image = State { values: (0..input.ciphertexts()).collect(), layout: input.clone() };
    let mut states: Vec<State> = Vec::with_capacity(pieces.len());
    let mut placed = Vec::new();
    let unread: BTreeMap<&str, Vec<usize>> =
        folded.stages.iter().map(|stage| stage.name.as_str()).zip(folded.unread()).collect();
    for (piece, &level) in pieces.iter().zip(&depths) {
        let sources: Vec<&State> =
            piece.sources.iter().map(|s| origin(&image, &states, *s)).collect();
        let stage = &piece.stage;
        let planned = configuration.scales.as_ref().and_then(|plan| plan.layer(&stage.name));
        let state = match &stage.kind {
            StageKind::Linear(linear) => {
                b.layer(&stage.name);
                let repack =
                    configuration.repacks.iter().find(|r| repack_name(&r.layer) == stage.name);
                let choice = repack.map_or_else(|| configuration.linear_choice(&stage.name), Ok)?;
                let output = choice.layout.layout(slots, stage.output, Default::default());
                let output = output.map_err(|e| fits(e.of_layer(&stage.name)))?;
                let output = output.without(&unread[choice.layer.as_str()]);
                let layouts: Vec<&Layout> = sources.iter().map(|s| &s.layout).collect();
                let diagonals =
                    Diagonals::new(&stage.name, linear, &layouts, &output, choice.fold, values)?;
                if let Some(&(geometry, form)) = forms.get(&stage.name) {
                    placed.push(Placed {
                        layer: stage.name.clone(),
                        geometry,
                        form,
                        input: layouts[0].clone(),
                        output: output.clone(),
                        fold: choice.fold,
                    });
                }
                let inputs = sources.iter().flat_map(|s| &s.values);
                let inputs: Vec<ValueId> = inputs.map(|v| b.at_level(*v, level)).collect();
                // A repack leaves a planned scale as it is.
                let kept = repack.filter(|_| configuration.scales.is_some());
                let kept = kept.and(inputs.first()).map(|v| b.info(*v).scale);
                LinearEmission {
                    scale: planned.or(kept).unwrap_or(chain.scale),
                    diagonals: &diagonals,
                    schedule: choice.schedule,
                    fold: choice.fold,
                    radix: choice.radix,
                    output: &output,
                    bias: &linear.bias,
                }
                .emit(&mut b, &inputs)?
            }
            _ => {
                let mut state = sources[0].clone();
                state.values.iter_mut().for_each(|v| *v = b.at_level(*v, level));
                let method = |name: &str| Ok(configuration.pool_choice(name)?.method);
                pieces::emit(&mut b, &mut state, piece, planned.unwrap_or(chain.scale), method)?;
                state
            }
        };
        let read = match piece.sources[0] {
            Origin::Image => None,
            Origin::Stage(k) => pieces[k].last().bound.zip(sources[0].values.first().copied()),
        };
        check_room(piece, read, &state, &b)?;
        states.push(state);
    }
    let result = states.pop().unwrap_or(image);
    let mut program = b.program.interleaved(images);
    program.outputs = result.values;
    Ok(Lowered { program, images, input, patches, output: result.layout, linear: placed })
}

fn origin<'a>(image: &'a State, states: &'a [State], origin: Origin) -> &'a State {
    match origin {
        Origin::Image => image,
        Origin::Stage(k) => &states[k],
    }
}

/// Checks that levels suffice, and names the first layer for which they do not.
fn check_depth(pieces: &[Piece<'_>], depths: &[usize], available: usize) -> Result<()> {
    let depth = depths.iter().copied().max().unwrap_or(0);
    let Some(missing) = depth.checked_sub(available).filter(|n| *n > 0) else { return Ok(()) };
    // With the levels that there are, everything lies `missing` lower.
    let runs_out = pieces
        .iter()
        .zip(depths)
        .find(|(p, needed)| (depth - **needed) + p.stage.levels() > available);
    let (piece, needed) = runs_out.map_or((&pieces[0], depth), |(p, needed)| (p, *needed));
    Err(Error::Depth {
        layer: piece.stage.name.clone(),
        needed,
        available: available.saturating_sub(depth - needed),
        missing,
    })
}

/// Checks that the primes have room for what a piece gives, as far as the network's bounds tell. `read` is a value that it
/// reads, with its bound if there is one.
fn check_room(
    piece: &Piece<'_>,
    read: Option<(f64, ValueId)>,
    state: &State,
    b: &Builder<'_>,
) -> Result<()> {
    if let (StageKind::Quadratic(_), Some((r, value))) = (&piece.stage.kind, read) {
        // The square within it, before its rescale.
        let info = b.info(value);
        let squared = ValueInfo { scale: info.scale * info.scale, ..info };
        room::check(&piece.stage.name, r * r, squared, b.chain)?;
    }
    let last = piece.last();
    if let (Some(bound), Some(&value)) = (last.bound, state.values.first()) {
        room::check(&last.name, bound, b.info(value), b.chain)?;
    }
    Ok(())
}

/// Name of the identity layer after layer `after`.
pub(crate) fn repack_name(after: &str) -> String {
    format!("{after}.repack")
}
