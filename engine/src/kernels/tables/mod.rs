//! What the transform kernels read: constants, and what single instruction sets derive from them.

#[cfg(target_arch = "x86_64")]
pub(super) mod bounds;
#[cfg(target_arch = "x86_64")]
pub(super) mod doubles;
#[cfg(target_arch = "x86_64")]
pub(super) mod offset;
#[cfg(target_arch = "x86_64")]
pub(super) mod passes;
pub(super) mod transform;
pub(super) mod twiddles;
