//! Inner loops, once per instruction set, behind one table of function pointers.
//!
//! The mathematics lives elsewhere; a kernel sees slices of 64-bit words. Every kernel states the
//! range of its inputs and outputs. All lengths are multiples of 8 words and all slices of one call
//! have the same length unless said otherwise (a kernel panics when its caller breaks this). Outputs
//! are canonical but for one, so all tables give identical words. The table is chosen once, at run time, by
//! [`kernels`]; the variable `SPENCNN_ISA` forces one. While something is counted another takes its place, see [`crate::count`].
//! Tables are the engine's own: to others there is only their name.

mod contract;
pub(crate) mod counting;
#[cfg(target_arch = "x86_64")]
mod fma;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod masks;
mod packed;
mod scalar;
mod shape;
mod tables;

use std::ffi::{OsStr, OsString};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::modulus::MAX_BITS;
use crate::{Error, Result};

pub use contract::SumTerms;
pub(crate) use contract::{
    BlockPermutation, KEY_WORDS, Kernels, KeyProduct, KeyWords, MAX_OUTPUTS, PairProducts,
};
pub(crate) use masks::{
    BLOCK_BYTES, CIPHER_KEY_BYTES, MaskStream, RoundKeys, is_packed, stored_bits,
};
pub(crate) use packed::{PACKED_BITS, pack, stored_words, unpack};
pub(crate) use tables::transform::TransformTable;
pub(crate) use tables::twiddles::Twiddles;

/// The variable that forces an instruction set.
const ISA_VARIABLE: &str = "SPENCNN_ISA";

/// The table in use, or what `SPENCNN_ISA` says when that names none. Chosen once.
fn choice() -> &'static std::result::Result<&'static Kernels, OsString> {
    static CHOICE: OnceLock<std::result::Result<&'static Kernels, OsString>> = OnceLock::new();
    CHOICE.get_or_init(|| choose(std::env::var_os(ISA_VARIABLE), &available()))
}

/// The table of the forced name, or the last one; the name if there is no such table.
fn choose(
    forced: Option<OsString>,
    available: &[&'static Kernels],
) -> std::result::Result<&'static Kernels, OsString> {
    match forced {
        Some(name) => available.iter().copied().find(|k| name == k.name).ok_or(name),
        None => Ok(available.last().copied().unwrap_or(&scalar::KERNELS)),
    }
}

/// An instruction set that is forced and cannot be had.
fn unavailable(name: &OsStr) -> Error {
    let names: Vec<_> = available().iter().map(|kernels| kernels.name).collect();
    Error::Isa { found: name.to_string_lossy().into_owned(), expected: names.join(", ") }
}

/// Name of the kernels in use: `scalar`, `avx2`, `avx512` or `avx512ifma`; the one that the variable `SPENCNN_ISA` names,
/// or without it the fastest that this processor has.
///
/// # Errors
/// [`Error::Isa`] when the variable names none, or one that this processor lacks. No table of constants can be made then,
/// hence no parameters.
pub fn isa() -> Result<&'static str> {
    choice().as_ref().map(|kernels| kernels.name).map_err(|name| unavailable(name))
}

/// What sums modulo a prime of this size hold with the kernels in use; a power of two stands for a prime just below.
pub fn sum_terms(prime: f64) -> SumTerms {
    // The conversion saturates.
    let products = (kernels().sum_terms)((prime as u64).clamp(3, (1 << MAX_BITS) - 1));
    SumTerms { outputs: sums_together(), ..products }
}

/// Most destinations whose sums of products the kernels in use make in one pass over the sources.
pub(crate) fn sums_together() -> usize {
    kernels().outputs
}

/// The kernels chosen. Where [`isa`] is an error they are the portable ones, which nothing reaches: transforms need tables.
fn chosen() -> &'static Kernels {
    choice().as_ref().copied().unwrap_or(&scalar::KERNELS)
}

/// The table in use: null before the first use, then that of the kernels chosen, or the one that counts. Only
/// [`use_table`] and [`kernels`] write to it.
static IN_USE: AtomicPtr<Kernels> = AtomicPtr::new(ptr::null_mut());

/// The kernels in use: those chosen, or, while something is counted, others that count and call them.
#[inline]
pub(crate) fn kernels() -> &'static Kernels {
    let table = IN_USE.load(Ordering::Acquire);
    // SAFETY: null or the address of a table that was borrowed for as long as the program runs; nobody changes tables.
    unsafe { table.as_ref() }.unwrap_or_else(first_use)
}

#[cold]
fn first_use() -> &'static Kernels {
    let table = chosen();
    // Unless counting has begun meanwhile.
    let (none, address) = (ptr::null_mut(), ptr::from_ref(table).cast_mut());
    let _ = IN_USE.compare_exchange(none, address, Ordering::AcqRel, Ordering::Acquire);
    table
}

/// Brings a table into use.
fn use_table(table: &'static Kernels) {
    IN_USE.store(ptr::from_ref(table).cast_mut(), Ordering::Release);
}

/// All tables that this processor can run, slowest first.
pub(crate) fn available() -> Vec<&'static Kernels> {
    let mut tables = vec![&scalar::KERNELS];
    #[cfg(target_arch = "x86_64")]
    {
        tables.extend(fma::available());
        if ifma::supported() {
            tables.push(&ifma::KERNELS);
        }
    }
    tables
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
