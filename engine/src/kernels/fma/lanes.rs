//! Vectors of doubles per instruction set: all that the kernels need of a processor.
//!
//! A vector holds doubles or 64-bit words; which, only its use says.

use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

/// `2^52`: a double of that exponent has its integer part in the low 52 bits.
pub(super) const TWO_52: f64 = (1_u64 << 52) as f64;
/// `1.5 * 2^52`: adding it to a double below 2^51 in magnitude rounds that to an integer, held as a
/// signed number in the low bits.
pub(super) const MAGIC: f64 = (3_u64 << 51) as f64;

/// A vector of doubles or words.
///
/// # Safety
/// Values may only be made and used where the processor has the instance's features, within a
/// function compiled for them.
pub(super) unsafe trait Lanes: Copy {
    /// Words of a vector: 4 or 8.
    const WORDS: usize;
    /// Outputs, up to three, whose sums the registers hold.
    const OUTPUTS: usize;
    /// Loads bits as they are.
    ///
    /// # Safety
    /// `from` must be readable for a vector.
    unsafe fn load(from: *const u64) -> Self;
    /// Loads vector number `vector` of a group of packed words, see [`crate::kernels::packed`].
    ///
    /// # Safety
    /// `group` must be readable for [`crate::kernels::packed::PACKED_WORDS`], and have that vector.
    unsafe fn load_packed(group: *const u64, vector: usize) -> Self;
    /// Stores bits as they are.
    ///
    /// # Safety
    /// `to` must be writable for a vector.
    unsafe fn store(self, to: *mut u64);
    fn splat(value: f64) -> Self;
    fn splat_word(word: u64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self * factor + summand`, rounded once.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// `self * factor - subtrahend`, rounded once.
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self;
    /// `summand - self * factor`, rounded once.
    fn neg_mul_add(self, factor: Self, summand: Self) -> Self;
    /// To the nearest integer, for any magnitude.
    fn round(self) -> Self;
    fn floor(self) -> Self;
    /// Words below 2^52 to the doubles `2^52 + word`.
    fn with_exponent(self) -> Self;
    /// Words below 2^52 to doubles.
    fn into_doubles(self) -> Self;
    /// Integers in `[0, 2^52)` to words.
    fn into_words(self) -> Self;
    /// Integers below 2^51 in magnitude to two's complement words.
    fn into_signed(self) -> Self;
    fn add_words(self, other: Self) -> Self;
    fn sub_words(self, other: Self) -> Self;
    /// Words `w` in `[-q, q)` to `w` or `w + q`, whichever is not negative.
    fn lift(self, q: Self) -> Self;
    /// Eight vectors as `8 / WORDS` square matrices, each transposed.
    fn transpose(rows: [Self; 8]) -> [Self; 8];
    /// Asks for the cache line of an address, valid or not.
    #[inline(always)]
    fn prefetch(address: *const u64) {
        // SAFETY: has no effect on memory, and every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    /// The same, for the second-level cache.
    #[inline(always)]
    fn prefetch_second(address: *const u64) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) };
    }
    /// `to[t] = from[lanes[t]]`.
    fn permute_block(to: &mut [u64; 8], from: &[u64; 8], lanes: &[u64; 8]);
}
