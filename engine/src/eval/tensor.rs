//! Products of ciphertexts, relinearised.

use rayon::prelude::*;

use super::decompose::{Decomposition, Digits, SwitchShape};
use super::job::CHUNKS_PER_TASK;
use super::mod_down::{Divisor, divided};
use super::switching::{MaskBuffer, Switch, SwitchLimb, words_of};
use super::{Evaluator, common, rescalable, same_level};
use crate::Result;
use crate::cipher::Ciphertext;
use crate::kernels::kernels;
use crate::keys::SwitchingKey;
use crate::poly::{CHUNK_WORDS, RnsPoly};

impl Evaluator {
    /// `a * b`, relinearised, and rescaled if asked (merged with the mod-down).
    ///
    /// # Errors
    /// [`crate::Error::Level`] when the levels differ or none is left to rescale; [`crate::Error::MissingKey`].
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
    /// As for [`Self::multiply`], and [`crate::Error::Scale`] when the scales differ.
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
        if rescale {
            rescalable("product with rescale: add depth", level)?;
        }
        let params = &self.params;
        let key = self.keys.relinearisation(level)?;
        let [mut c0, mut c1, mut c2] = [(); 3].map(|()| RnsPoly::scratch(params, level, false));
        (c0.par_limbs_mut(), c1.par_limbs_mut(), c2.par_limbs_mut())
            .into_par_iter()
            .enumerate()
            .for_each(|(i, (out0, out1, out2))| tensor(i, [out0, out1, out2]));
        let decomposition = Decomposition::new(params, &c2);
        let decomposition = [Some(&decomposition)];
        let n = params.n();
        let size = SwitchShape::new(params, level).group_limbs(1, 1);
        let divisor = Divisor { level, extended: true, rescale };
        let mut products = divided(params, divisor, &[scale], size, |positions, outputs| {
            Digits::for_each(&decomposition, positions, n, outputs, |position, digits, outputs| {
                let Ok(outputs) = <[_; 2]>::try_from(outputs) else {
                    unreachable!("a product has two components")
                };
                let limb = SwitchLimb::new(params, level, position);
                relinearise(&limb, &digits.of(0, position), key, [&c0, &c1], outputs);
            });
        });
        let Some(product) = products.pop() else { unreachable!("one scale gives one product") };
        Ok(product)
    }
}

/// One limb of `P (c0, c1) + <digits, key>`.
fn relinearise(
    limb: &SwitchLimb<'_>,
    digits: &[&[u64]],
    key: &SwitchingKey,
    [c0, c1]: [&RnsPoly; 2],
    [out0, out1]: [&mut [u64]; 2],
) {
    let last = out0.len() / CHUNK_WORDS - 1;
    let chunks = out0.par_chunks_exact_mut(CHUNK_WORDS).zip(out1.par_chunks_exact_mut(CHUNK_WORDS));
    let tasks = chunks.enumerate().with_min_len(CHUNKS_PER_TASK);
    let scratch = || (Vec::new(), MaskBuffer::new());
    tasks.for_each_init(scratch, |(words, masks), (chunk, (out0, out1))| {
        let next = (chunk < last).then_some((key, chunk + 1));
        let switch = Switch { digits, key, chunk, next, c0, permutation: None };
        limb.product(&switch, words, masks, [&mut *out0, &mut *out1]);
        if !limb.is_special() {
            let c1 = &c1.limb(limb.position)[words_of(chunk)];
            (kernels().mul_scalar_add)(out1, c1, limb.special, limb.modulus);
        }
    });
}
