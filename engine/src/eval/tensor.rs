//! Products of ciphertexts, relinearised.

use std::ops::Range;

use rayon::prelude::*;

use super::decompose::{Decomposition, Digits};
use super::mod_down::divided;
use super::rows::group_limbs;
use super::{Evaluator, common, same_level};
use crate::cipher::Ciphertext;
use crate::kernels::{KeyProduct, kernels};
use crate::keys::SwitchingKey;
use crate::poly::{CHUNK_WORDS, RnsPoly};
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
        let [mut c0, mut c1, mut c2] = [(); 3].map(|()| RnsPoly::scratch(params, level, false));
        (c0.par_limbs_mut(), c1.par_limbs_mut(), c2.par_limbs_mut())
            .into_par_iter()
            .enumerate()
            .for_each(|(i, (out0, out1, out2))| tensor(i, [out0, out1, out2]));
        let decomposition = Decomposition::new(params, &c2);
        let decomposition = [Some(&decomposition)];
        let n = params.n();
        let size = group_limbs(params.special_count(), params.digits(level).len() + 2, n);
        // Fills the limbs of both outputs, given limb by limb.
        let relinearise = |positions: Range<usize>, outputs: Vec<Vec<&mut [u64]>>| {
            let digits = Digits::new(&decomposition, positions.clone(), n);
            positions.into_par_iter().zip(outputs).for_each(|(position, mut outputs)| {
                let [out0, out1] = outputs.as_mut_slice() else {
                    unreachable!("a product has two components")
                };
                let own = (position <= level).then(|| [c0.limb(position), c1.limb(position)]);
                let digits = digits.of(0, position);
                self.relinearise_limb(&digits, key, level, position, own, [out0, out1]);
            });
        };
        let new_level = level - usize::from(rescale);
        let converter = params.rns().mod_down(level, rescale);
        let mut polys =
            divided(params, Some(converter), 2, new_level, size, relinearise).into_iter();
        let (Some(c0), Some(c1)) = (polys.next(), polys.next()) else {
            unreachable!("a product has two components")
        };
        let divisor = if rescale { params.modulus(level).value() as f64 } else { 1.0 };
        Ok(Ciphertext { c0, c1, scale: scale / divisor })
    }

    /// Limb `position` of `P (c0, c1) + <digits, key>`; `own` are those of `c0` and `c1`, none for special limbs.
    fn relinearise_limb(
        &self,
        digits: &[&[u64]],
        key: &SwitchingKey,
        level: usize,
        position: usize,
        own: Option<[&[u64]; 2]>,
        outputs: [&mut [u64]; 2],
    ) {
        let n = self.params.n();
        let index = self.params.limb_index(level, position);
        let modulus = self.params.modulus(index);
        let factor = self.params.rns().special().product(index);
        let [out0, out1] = outputs;
        let chunks =
            out0.par_chunks_exact_mut(CHUNK_WORDS).zip(out1.par_chunks_exact_mut(CHUNK_WORDS));
        chunks.enumerate().with_min_len(4).for_each(|(chunk, (out0, out1))| {
            let range = chunk * CHUNK_WORDS..(chunk + 1) * CHUNK_WORDS;
            let words: Vec<&[u64]> = digits.iter().map(|d| &d[range.clone()]).collect();
            let following = range.end..(range.end + CHUNK_WORDS).min(n);
            let product = KeyProduct {
                digits: &words,
                key: key.words(level, position, range.clone()),
                next_key: (!following.is_empty()).then(|| key.words(level, position, following)),
                add0: own.map(|[c0, _]| (&c0[range.clone()], factor)),
                permutation: None,
            };
            (kernels().key_product)(out0, out1, &product, modulus);
            if let Some([_, c1]) = own {
                (kernels().mul_scalar_add)(out1, &c1[range], factor, modulus);
            }
        });
    }
}
