//! Products of ciphertexts, relinearised.

use rayon::prelude::*;

use super::decompose::Decomposition;
use super::mod_down::divide;
use super::{Evaluator, common, same_level};
use crate::buffer::AlignedBuf;
use crate::cipher::Ciphertext;
use crate::kernels::{KeyProduct, kernels};
use crate::poly::{CHUNK_WORDS, Form, RnsPoly};
use crate::{Error, Result};

impl Evaluator {
    /// `a * b`, relinearised, and rescaled if asked (merged with the mod-down).
    ///
    /// # Errors
    /// [`Error::Level`] when the levels differ or none is left to rescale; [`Error::MissingKey`].
    pub fn multiply(&self, a: &Ciphertext, b: &Ciphertext, rescale: bool) -> Result<Ciphertext> {
        a.c0.check(&self.params, "multiply")?;
        b.c0.check(&self.params, "multiply")?;
        same_level("multiply", b.level(), a.level())?;
        self.product(a.level(), a.scale * b.scale, rescale, |limb, outputs| {
            let inputs = [a.c0.limb(limb), a.c1.limb(limb), b.c0.limb(limb), b.c1.limb(limb)];
            (kernels().tensor)(outputs, inputs, self.params.modulus(limb));
        })
    }

    /// The sum of the squares, relinearised once, and rescaled if asked (merged with the mod-down).
    ///
    /// # Errors
    /// As for [`Self::multiply`], and [`Error::Scale`] when the scales differ.
    pub fn sum_squares(&self, sources: &[&Ciphertext], rescale: bool) -> Result<Ciphertext> {
        let (level, scale) = common(&self.params, "sum of squares", sources)?;
        self.product(level, scale * scale, rescale, |limb, [out0, out1, out2]| {
            let a: Vec<&[u64]> = sources.iter().map(|ct| ct.c0.limb(limb)).collect();
            let b: Vec<&[u64]> = sources.iter().map(|ct| ct.c1.limb(limb)).collect();
            (kernels().square_sum)(out0, out1, out2, &a, &b, self.params.modulus(limb));
        })
    }

    /// Relinearises the degree-2 ciphertext whose limbs `tensor` computes.
    fn product(
        &self,
        level: usize,
        scale: f64,
        rescale: bool,
        tensor: impl Fn(usize, [&mut [u64]; 3]) + Sync,
    ) -> Result<Ciphertext> {
        if rescale && level == 0 {
            return Err(Error::Level {
                what: "product with rescale: add depth",
                found: 0,
                expected: 1,
            });
        }
        let params = &self.params;
        let key = self.keys.relinearisation(level)?;
        let poly = |extended| RnsPoly::scratch(params, level, extended, Form::Ntt);
        let (mut c0, mut c1, mut c2) = (poly(true), poly(true), poly(false));
        (c0.par_limbs_mut(), c1.par_limbs_mut(), c2.par_limbs_mut())
            .into_par_iter()
            .enumerate()
            .for_each(|(i, (out0, out1, out2))| tensor(i, [out0, out1, out2]));
        let decomposition = Decomposition::new(params, &c2);
        let limbs = c0.par_limbs_mut().zip(c1.par_limbs_mut()).enumerate();
        limbs.for_each(|(position, (out0, out1))| {
            self.relinearise_limb(&decomposition, key, level, position, [out0, out1]);
        });
        let converter = params.rns().mod_down(level, rescale);
        let mut polys = [c0, c1];
        divide(params, &mut polys, converter, level - usize::from(rescale));
        let [c0, c1] = polys;
        let divisor = if rescale { params.modulus(level).value() as f64 } else { 1.0 };
        Ok(Ciphertext { c0, c1, scale: scale / divisor })
    }

    /// Limb `position` of `P (c0, c1) + <digits, key>`; `outputs` hold `c0` and `c1` (nothing in special limbs).
    fn relinearise_limb(
        &self,
        decomposition: &Decomposition<'_>,
        key: &crate::keys::SwitchingKey,
        level: usize,
        position: usize,
        outputs: [&mut [u64]; 2],
    ) {
        let n = self.params.n();
        let index = self.params.limb_index(level, position);
        let modulus = self.params.modulus(index);
        let factor = self.params.rns().special().product(index);
        let mut scratch = AlignedBuf::scratch(decomposition.len() * n);
        let digits: Vec<&[u64]> = scratch
            .par_chunks_exact_mut(n)
            .enumerate()
            .map(|(d, buffer)| decomposition.limb(d, position, buffer))
            .collect();
        let [out0, out1] = outputs;
        let chunks =
            out0.par_chunks_exact_mut(CHUNK_WORDS).zip(out1.par_chunks_exact_mut(CHUNK_WORDS));
        chunks.enumerate().with_min_len(4).for_each(|(chunk, (out0, out1))| {
            let range = chunk * CHUNK_WORDS..(chunk + 1) * CHUNK_WORDS;
            let words: Vec<&[u64]> = digits.iter().map(|d| &d[range.clone()]).collect();
            let component = |c: usize| -> Vec<&[u64]> {
                (0..words.len()).map(|d| &key.limb(level, position, d, c)[range.clone()]).collect()
            };
            let (key0, key1) = (component(0), component(1));
            let own = position <= level;
            let mut sums = [0u64; 2 * CHUNK_WORDS];
            let (sum0, sum1) = sums.split_at_mut(CHUNK_WORDS);
            let add0 = own.then_some((&*out0, factor));
            let product =
                KeyProduct { digits: &words, key0: &key0, key1: &key1, add0, permutation: None };
            (kernels().key_product)(sum0, sum1, &product, modulus);
            if own {
                (kernels().mul_scalar_add)(sum1, out1, factor, modulus);
            }
            out0.copy_from_slice(sum0);
            out1.copy_from_slice(sum1);
        });
    }
}
