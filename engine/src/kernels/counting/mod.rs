//! The table that counts: each of its kernels notes what it is called with, and calls the same one of the table chosen. What
//! a kernel reads, computes and writes is said here and nowhere else.
//!
//! It is in use only while something is counted (see [`start`]), and notes what happens on the threads that are listened to
//! (see [`listen`]): others use it meanwhile without being counted.

mod counts;

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::contract::{BlockPermutation, Kernels, KeyProduct, PairProducts, SumTerms};
use super::masks::{Expansion, MaskStream};
use super::tables::transform::TransformTable;
use super::{chosen, use_table};
use crate::modulus::{Modulus, ShoupScalar};

pub use counts::{Amount, Call, Counts, Kernel};

/// Bytes of so many words.
const fn bytes(words: usize) -> u64 {
    (words * size_of::<u64>()) as u64
}

thread_local! {
    /// What this thread has done since it is listened to.
    static HEARD: RefCell<Option<Counts>> = const { RefCell::new(None) };
}

/// How many count at the moment.
static ACTIVE: Mutex<usize> = Mutex::new(0);

fn active() -> MutexGuard<'static, usize> {
    // A number cannot be half changed.
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The counting table is in use as long as there is one of these.
pub(crate) struct Counting(());

/// Brings the counting table into use.
pub(crate) fn start() -> Counting {
    let mut active = active();
    *active += 1;
    use_table(table());
    Counting(())
}

impl Drop for Counting {
    fn drop(&mut self) {
        let mut active = active();
        *active -= 1;
        if *active == 0 {
            use_table(chosen());
        }
    }
}

/// Listens to this thread from now on.
pub(crate) fn listen() {
    HEARD.set(Some(Counts::default()));
}

/// What this thread has done since it is listened to; no longer listens.
pub(crate) fn heard() -> Counts {
    HEARD.take().unwrap_or_default()
}

/// Notes a call on this thread, if it is listened to.
fn note(call: Call, amount: Amount) {
    note_streams(call, amount, |_| {});
}

/// The same of a call that reads keys or factors, which `streams` is to add.
fn note_streams(call: Call, amount: Amount, streams: impl FnOnce(&mut Counts)) {
    HEARD.with_borrow_mut(|heard| {
        if let Some(counts) = heard {
            counts.add(call, Amount { calls: 1, ..amount });
            streams(counts);
        }
    });
}

/// The counting table; its name is that of the table chosen, which whatever depends on the instruction set asks for.
fn table() -> &'static Kernels {
    static TABLE: OnceLock<Kernels> = OnceLock::new();
    TABLE.get_or_init(|| {
        let Kernels {
            name, corrects, sum_terms, outputs, convert_radix_bits, ref expansion, ..
        } = *chosen();
        Kernels {
            name,
            corrects,
            sum_terms,
            outputs,
            convert_radix_bits,
            expansion: expansion.as_ref().map(|expansion| Expansion {
                round_keys: expansion.round_keys,
                key_product: key_product_with_masks,
            }),
            ntt_forward,
            ntt_inverse,
            add,
            sub,
            mul,
            mul_add,
            mul_sub,
            mul_scalar,
            mul_scalar_add,
            sub_from_mul_scalar,
            reduce,
            lift,
            dot_const,
            dot_convert,
            quotient,
            key_product,
            dot_pairs,
            square_sum,
            tensor,
            permute,
        }
    })
}

/// A call on slices of so many words, modulo a prime.
fn call(kernel: Kernel, length: usize, modulus: &Modulus) -> Call {
    Call { packed: super::is_packed(modulus.bits()), ..without_prime(kernel, length) }
}

/// A call of a kernel that is told no prime.
fn without_prime(kernel: Kernel, length: usize) -> Call {
    Call { kernel, length, packed: false, corrected: false }
}

/// A kernel with one result of as many words as each of the operands.
fn note_words(kernel: Kernel, length: usize, modulus: &Modulus, operands: usize, products: usize) {
    let amount = Amount {
        words: length as u64,
        products: (products * length) as u64,
        reduced_words: (products * length) as u64,
        read_bytes: bytes(operands * length),
        written_bytes: bytes(length),
        ..Amount::default()
    };
    note(call(kernel, length, modulus), amount);
}

/// A transform: a product for each butterfly. Its words are in the caches from the first pass on, so that they are read and
/// written once.
fn note_transform(kernel: Kernel, table: &TransformTable, constant_bytes: u64) {
    let (n, modulus) = (table.n(), table.modulus());
    let amount = Amount {
        words: n as u64,
        products: (n / 2) as u64 * u64::from(table.log_n()),
        read_bytes: bytes(n),
        written_bytes: bytes(n),
        constant_bytes,
        ..Amount::default()
    };
    let corrected = (chosen().corrects)(modulus.value(), table.log_n());
    note(Call { corrected, ..call(kernel, n, modulus) }, amount);
}

fn ntt_forward(table: &TransformTable, a: &mut [u64]) {
    note_transform(Kernel::NttForward, table, table.forward_twiddles().bytes());
    (chosen().ntt_forward)(table, a);
}

fn ntt_inverse(table: &TransformTable, a: &mut [u64]) {
    note_transform(Kernel::NttInverse, table, table.inverse_twiddles().bytes());
    (chosen().ntt_inverse)(table, a);
}

fn add(a: &mut [u64], b: &[u64], modulus: &Modulus) {
    note_words(Kernel::Add, a.len(), modulus, 2, 0);
    (chosen().add)(a, b, modulus);
}

fn sub(a: &mut [u64], b: &[u64], modulus: &Modulus) {
    note_words(Kernel::Sub, a.len(), modulus, 2, 0);
    (chosen().sub)(a, b, modulus);
}

fn mul(out: &mut [u64], a: &[u64], b: &[u64], modulus: &Modulus) {
    note_words(Kernel::Mul, out.len(), modulus, 2, 1);
    (chosen().mul)(out, a, b, modulus);
}

fn mul_add(out: &mut [u64], a: &[u64], b: &[u64], c: &[u64], modulus: &Modulus) {
    note_words(Kernel::MulAdd, out.len(), modulus, 3, 1);
    (chosen().mul_add)(out, a, b, c, modulus);
}

fn mul_sub(out: &mut [u64], a: &[u64], b: &[u64], c: Option<&[u64]>, modulus: &Modulus) {
    note_words(Kernel::MulSub, out.len(), modulus, 3 + usize::from(c.is_some()), 1);
    (chosen().mul_sub)(out, a, b, c, modulus);
}

fn mul_scalar(a: &mut [u64], s: ShoupScalar, modulus: &Modulus) {
    note_words(Kernel::MulScalar, a.len(), modulus, 1, 1);
    (chosen().mul_scalar)(a, s, modulus);
}

fn mul_scalar_add(a: &mut [u64], b: &[u64], s: ShoupScalar, modulus: &Modulus) {
    note_words(Kernel::MulScalarAdd, a.len(), modulus, 2, 1);
    (chosen().mul_scalar_add)(a, b, s, modulus);
}

fn sub_from_mul_scalar(b: &mut [u64], a: &[u64], s: ShoupScalar, modulus: &Modulus) {
    note_words(Kernel::SubFromMulScalar, b.len(), modulus, 2, 1);
    (chosen().sub_from_mul_scalar)(b, a, s, modulus);
}

fn reduce(out: &mut [u64], a: &[u64], modulus: &Modulus) {
    note_words(Kernel::Reduce, out.len(), modulus, 1, 0);
    (chosen().reduce)(out, a, modulus);
}

fn lift(out: &mut [u64], x: &[u64], p: u64, modulus: &Modulus) {
    note_words(Kernel::Lift, out.len(), modulus, 1, 0);
    (chosen().lift)(out, x, p, modulus);
}

fn dot_const(out: &mut [u64], xs: &[&[u64]], consts: &[u64], modulus: &Modulus) {
    let call = call(Kernel::DotConst, out.len(), modulus);
    let reduced_words = converted_words(out.len(), xs.len(), modulus);
    note(call, Amount { reduced_words, ..sums([1, xs.len()], out.len(), xs.len()) });
    (chosen().dot_const)(out, xs, consts, modulus);
}

fn dot_convert(outs: &mut [&mut [u64]], xs: &[&[u64]], consts: &[&[u64]], moduli: &[&Modulus]) {
    let length = outs.first().map_or(0, |out| out.len());
    let packed = moduli.iter().all(|modulus| super::is_packed(modulus.bits()));
    let call = Call { packed, ..without_prime(Kernel::DotConvert, length) };
    let reduced_words = moduli.iter().map(|m| converted_words(length, xs.len(), m)).sum();
    let amount = sums([outs.len(), xs.len()], length, outs.len() * xs.len());
    note(call, Amount { reduced_words, ..amount });
    (chosen().dot_convert)(outs, xs, consts, moduli);
}

fn quotient(out: &mut [u64], xs: &[&[u64]], inverses: &[f64]) {
    let call = without_prime(Kernel::Quotient, out.len());
    note(call, sums([1, xs.len()], out.len(), xs.len()));
    (chosen().quotient)(out, xs, inverses);
}

/// What sums modulo a prime hold.
fn held(modulus: &Modulus) -> SumTerms {
    (chosen().sum_terms)(modulus.value())
}

/// Words reduced in a conversion from so many slices.
fn converted_words(length: usize, slices: usize, modulus: &Modulus) -> u64 {
    (length * slices.div_ceil(held(modulus).conversions)) as u64
}

/// So many sums of products of so many slices, each read once for all sums, with constants.
fn sums([sums, slices]: [usize; 2], length: usize, constants: usize) -> Amount {
    Amount {
        words: (sums * length) as u64,
        products: (sums * slices * length) as u64,
        read_bytes: bytes(slices * length),
        written_bytes: bytes(sums * length),
        constant_bytes: bytes(constants),
        ..Amount::default()
    }
}

fn key_product(out0: &mut [u64], out1: &mut [u64], product: &KeyProduct<'_>, modulus: &Modulus) {
    note_key_product(out0.len(), product, false, modulus);
    (chosen().key_product)(out0, out1, product, modulus);
}

fn key_product_with_masks(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    stream: &MaskStream<'_>,
    masks: &mut [u64],
    modulus: &Modulus,
) {
    note_key_product(out0.len(), product, true, modulus);
    if let Some(expansion) = &chosen().expansion {
        (expansion.key_product)(out0, out1, product, stream, masks, modulus);
    }
}

fn note_key_product(length: usize, product: &KeyProduct<'_>, made: bool, modulus: &Modulus) {
    let KeyProduct { digits, key, masks, add0, permutation, .. } = product;
    let (pairs, added) = (digits.len() * length, usize::from(add0.is_some()) * length);
    // Digits that the value has not are not read.
    let key_bytes = bytes(digits.len() * key.components * key.stored_chunk(length));
    let masks_read = if masks.is_some() { pairs } else { 0 };
    let amount = Amount {
        words: 2 * length as u64,
        products: (2 * pairs + added) as u64,
        reduced_words: (2 * length * digits.len().div_ceil(held(modulus).keys)) as u64,
        permuted_words: if permutation.is_some() { 2 * length as u64 } else { 0 },
        mask_words: if made { pairs as u64 } else { 0 },
        read_bytes: bytes(added + masks_read),
        digit_bytes: bytes(pairs),
        key_bytes,
        written_bytes: bytes(2 * length + if made { pairs } else { 0 }),
        ..Amount::default()
    };
    let call = call(Kernel::KeyProduct, length, modulus);
    note_streams(call, amount, |counts| counts.read_key(key.words, key_bytes));
}

fn dot_pairs(outs: &mut [[&mut [u64]; 2]], products: &PairProducts<'_>, modulus: &Modulus) {
    let length = outs.first().map_or(0, |[out, _]| out.len());
    let PairProducts { x0, factors, add, .. } = *products;
    let (terms, results) = (x0.len(), 2 * outs.len() * length);
    let amount = Amount {
        words: results as u64,
        products: (terms * results) as u64,
        // A sum of nothing ends like any.
        reduced_words: (results * terms.div_ceil(held(modulus).pairs).max(1)) as u64,
        read_bytes: bytes(2 * terms * length + if add { results } else { 0 }),
        factor_bytes: factors.iter().map(|factor| bytes(factor.len())).sum(),
        written_bytes: bytes(results),
        ..Amount::default()
    };
    let call = call(Kernel::DotPairs, length, modulus);
    note_streams(call, amount, |counts| {
        factors.iter().for_each(|factor| counts.read_factor(factor));
    });
    (chosen().dot_pairs)(outs, products, modulus);
}

/// Three sums of so many products a word in all, reduced so often, of so many slices, each read once.
fn three_sums(products: usize, reductions: usize, slices: usize, length: usize) -> Amount {
    Amount {
        words: 3 * length as u64,
        products: (products * length) as u64,
        reduced_words: (3 * reductions * length) as u64,
        read_bytes: bytes(slices * length),
        written_bytes: bytes(3 * length),
        ..Amount::default()
    }
}

fn square_sum(
    out0: &mut [u64],
    out1: &mut [u64],
    out2: &mut [u64],
    a: &[&[u64]],
    b: &[&[u64]],
    modulus: &Modulus,
) {
    let (length, terms) = (out0.len(), a.len());
    let reductions = terms.div_ceil(held(modulus).pairs);
    let amount = three_sums(3 * terms, reductions, 2 * terms, length);
    note(call(Kernel::SquareSum, length, modulus), amount);
    (chosen().square_sum)(out0, out1, out2, a, b, modulus);
}

fn tensor(out: [&mut [u64]; 3], pairs: [&[u64]; 4], modulus: &Modulus) {
    let length = out[0].len();
    note(call(Kernel::Tensor, length, modulus), three_sums(4, 1, 4, length));
    (chosen().tensor)(out, pairs, modulus);
}

fn permute(out: &mut [u64], input: &[u64], permutation: BlockPermutation<'_>) {
    let length = out.len();
    let amount = Amount {
        words: length as u64,
        permuted_words: length as u64,
        read_bytes: bytes(length),
        written_bytes: bytes(length),
        ..Amount::default()
    };
    note(without_prime(Kernel::Permute, length), amount);
    (chosen().permute)(out, input, permutation);
}
