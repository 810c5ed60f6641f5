//! How inputs are changed: by the structure of their format, so that most of a changed input still makes sense.

mod arrays;
mod bundle;
mod bytes;
mod frame;
mod packed;
mod pictures;
mod proto;
mod tensors;
mod text;
mod tree;

use rand_chacha::ChaCha8Rng;

pub(crate) use arrays::archive;
pub use arrays::{Idx, Npy, Npz};
pub use bundle::{Bundle, join, split};
pub use bytes::{Bytes, Records};
pub use frame::Frame;
pub use packed::{Gzip, Xz, gzip, xz};
pub use pictures::Picture;
pub use proto::Onnx;
pub use tensors::Tensors;
pub(crate) use text::with_points;
pub use text::{Json, Lines, Toml};

/// The generator of changes.
pub type Rng = ChaCha8Rng;

/// Longest input, in bytes.
pub const MOST_BYTES: usize = 1 << 17;

/// A format of inputs.
pub trait Format: Send {
    /// A changed copy of an input; parts may come from another one.
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8>;
}
