//! Products of ciphertexts, relinearised.

use rayon::prelude::*;

use super::decompose::Decomposition;
use super::mod_down::Division;
use super::rows::Rows;
use super::{Evaluator, common, same_level};
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
        let [mut c0, mut c1, mut c2] =
            [(); 3].map(|()| RnsPoly::scratch(params, level, false, Form::Ntt));
        (c0.par_limbs_mut(), c1.par_limbs_mut(), c2.par_limbs_mut())
            .into_par_iter()
            .enumerate()
            .for_each(|(i, (out0, out1, out2))| tensor(i, [out0, out1, out2]));
        let decomposition = Decomposition::new(params, &c2);
        let relinearised = |position: usize, outputs: [&mut [u64]; 2]| {
            let own = (position <= level).then(|| [c0.limb(position), c1.limb(position)]);
            self.relinearise_limb(&decomposition, key, level, position, own, outputs);
        };
        let new_level = level - usize::from(rescale);
        let converter = params.rns().mod_down(level, rescale);
        let mut divisions = [(); 2].map(|()| Division::new(params, converter));
        let [first, second] = &mut divisions;
        let removed: Vec<_> = first.removed().zip(second.removed()).collect();
        removed.into_par_iter().enumerate().for_each(|(i, (out0, out1))| {
            relinearised(new_level + 1 + i, [out0, out1]);
        });
        divisions.par_iter_mut().for_each(Division::prepare);
        let [mut out0, mut out1] =
            [(); 2].map(|()| RnsPoly::scratch(params, new_level, false, Form::Ntt));
        let limbs = out0.par_limbs_mut().zip(out1.par_limbs_mut()).enumerate();
        limbs.for_each(|(i, (out0, out1))| {
            let mut rows = Rows::new(2, params.n());
            if let [value0, value1] = rows.rows_mut().collect::<Vec<_>>().as_mut_slice() {
                relinearised(i, [value0, value1]);
            }
            divisions[0].divide(i, rows.row(0), out0);
            divisions[1].divide(i, rows.row(1), out1);
        });
        let divisor = if rescale { params.modulus(level).value() as f64 } else { 1.0 };
        Ok(Ciphertext { c0: out0, c1: out1, scale: scale / divisor })
    }

    /// Limb `position` of `P (c0, c1) + <digits, key>`; `own` are those of `c0` and `c1`, none for special limbs.
    fn relinearise_limb(
        &self,
        decomposition: &Decomposition<'_>,
        key: &crate::keys::SwitchingKey,
        level: usize,
        position: usize,
        own: Option<[&[u64]; 2]>,
        outputs: [&mut [u64]; 2],
    ) {
        let n = self.params.n();
        let index = self.params.limb_index(level, position);
        let modulus = self.params.modulus(index);
        let factor = self.params.rns().special().product(index);
        let mut rows = Rows::new(decomposition.len(), n);
        let digits: Vec<&[u64]> = rows
            .par_rows_mut()
            .enumerate()
            .map(|(d, buffer)| decomposition.limb(d, position, buffer))
            .collect();
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
