//! The encoder.

use std::sync::Arc;

use rayon::prelude::*;
use zeroize::Zeroize;

use super::Complex;
use super::fft::SpecialFft;
use super::instance::Instance;
use super::rounding::{CHUNK, Reconstruction, Rounding, magnitude, scale_by};
use super::scratch::{Arrays, Scratch};
use crate::cipher::Plaintext;
use crate::params::Parameters;
use crate::poly::{Form, RnsPoly};
use crate::{Error, Result};

/// Bits above the scale that decoding looks at: it takes coefficients to be below `2^39` times the scale.
const DECODED_BITS: f64 = 40.0;

/// Encodes vectors into plaintexts and back. Cloning is cheap: the tables are shared.
#[derive(Clone)]
pub struct Encoder {
    inner: Arc<Inner>,
}

struct Inner {
    params: Parameters,
    fft: SpecialFft,
    reconstruction: Reconstruction,
}

impl Encoder {
    /// An encoder for these parameters.
    pub fn new(params: &Parameters) -> Self {
        let moduli: Vec<_> = (0..=params.max_level()).map(|i| *params.modulus(i)).collect();
        let inner = Inner {
            params: params.clone(),
            fft: SpecialFft::new(params.slots()),
            reconstruction: Reconstruction::new(&moduli),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The parameters.
    pub fn params(&self) -> &Parameters {
        &self.inner.params
    }

    /// Encodes real values into the first slots and zero into the others.
    ///
    /// Every coefficient is rounded to the nearest integer. That moves a slot by an error of mean square
    /// `N / 12` before the division by the scale; and the transform in double precision by about `2^-52` of the
    /// largest values. `extended` adds the residues of the special primes, as plaintexts of a linear combination
    /// with rotations need them.
    ///
    /// # Errors
    /// [`Error::Argument`] for more values than slots, values that are not finite, a level or scale out of range,
    /// or coefficients (values times scale) that are not below half the modulus at this level.
    pub fn encode(
        &self,
        values: &[f64],
        level: usize,
        scale: f64,
        extended: bool,
    ) -> Result<Plaintext> {
        let mut plaintext = self.empty(level, scale, extended)?;
        self.encode_into(values, scale, &mut plaintext)?;
        Ok(plaintext)
    }

    /// As [`Self::encode`], for complex values.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_complex(
        &self,
        values: &[Complex],
        level: usize,
        scale: f64,
        extended: bool,
    ) -> Result<Plaintext> {
        let mut plaintext = self.empty(level, scale, extended)?;
        self.check_count(values.len())?;
        if values.len() == self.params().slots()
            && values.iter().all(|v| v.im == 0.0 && v.re == values[0].re)
        {
            self.fill_constant(values[0].re, &mut plaintext)?;
            return Ok(plaintext);
        }
        self.fill(&mut plaintext, |arrays| {
            for ((re, im), value) in arrays.re.iter_mut().zip(arrays.im).zip(values) {
                (*re, *im) = (value.re, value.im);
            }
        })?;
        Ok(plaintext)
    }

    /// As [`Self::encode`], into a plaintext that is there already: with its level and its limbs. Saves the
    /// allocation.
    ///
    /// # Errors
    /// As [`Self::encode`]; the plaintext is then of no use, but may be encoded into again.
    pub fn encode_into(&self, values: &[f64], scale: f64, plaintext: &mut Plaintext) -> Result<()> {
        self.check_shape(&plaintext.poly)?;
        check_scale(scale)?;
        if plaintext.poly.form() != Form::Ntt {
            return Err(Error::argument(
                "plaintext to encode into",
                "coefficient form",
                "NTT form",
            ));
        }
        plaintext.scale = scale;
        self.check_count(values.len())?;
        // Equal values in all slots are a constant polynomial, the same in NTT form: nothing to transform.
        if values.len() == self.params().slots() && values.iter().all(|&v| v == values[0]) {
            return self.fill_constant(values[0], plaintext);
        }
        self.fill(plaintext, |arrays| arrays.re[..values.len()].copy_from_slice(values))
    }

    /// Encodes one value into every slot: much faster than [`Self::encode`], and exact but for one rounding.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_constant(
        &self,
        value: f64,
        level: usize,
        scale: f64,
        extended: bool,
    ) -> Result<Plaintext> {
        let mut plaintext = self.empty(level, scale, extended)?;
        self.fill_constant(value, &mut plaintext)?;
        Ok(plaintext)
    }

    /// The real parts of all slots.
    ///
    /// The coefficients are taken to be below `2^39` times the scale, as those of any meaningful message are: then
    /// only as many limbs are looked at as hold numbers of that size, not the whole modulus. Coefficients beyond
    /// half the modulus cannot be told from their remainders at all.
    ///
    /// # Errors
    /// [`Error::Argument`] for a plaintext of another ring degree or level, or a scale out of range.
    pub fn decode(&self, plaintext: &Plaintext) -> Result<Vec<f64>> {
        let mut scratch = self.decode_slots(plaintext)?;
        Ok(scratch.arrays().re.to_vec())
    }

    /// All slots. See [`Self::decode`].
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_complex(&self, plaintext: &Plaintext) -> Result<Vec<Complex>> {
        let mut scratch = self.decode_slots(plaintext)?;
        let arrays = scratch.arrays();
        Ok(arrays.re.iter().zip(arrays.im).map(|(&re, &mut im)| Complex { re, im }).collect())
    }

    fn empty(&self, level: usize, scale: f64, extended: bool) -> Result<Plaintext> {
        let params = self.params();
        if level > params.max_level() {
            let expected = format!("at most {}", params.max_level());
            return Err(Error::argument("level to encode at", level, expected));
        }
        check_scale(scale)?;
        // Every word is written before anybody sees it.
        Ok(Plaintext { poly: RnsPoly::scratch(params, level, extended, Form::Ntt), scale })
    }

    fn check_count(&self, count: usize) -> Result<()> {
        let slots = self.params().slots();
        if count > slots {
            return Err(Error::argument(
                "values to encode",
                count,
                format!("at most {slots}, one per slot"),
            ));
        }
        Ok(())
    }

    fn check_shape(&self, poly: &RnsPoly) -> Result<()> {
        let params = self.params();
        if poly.n() != params.n() {
            return Err(Error::argument("ring degree of a plaintext", poly.n(), params.n()));
        }
        if poly.level() > params.max_level() {
            let expected = format!("at most {}", params.max_level());
            return Err(Error::argument("level of a plaintext", poly.level(), expected));
        }
        Ok(())
    }

    /// Encodes the slots that `slots` writes.
    fn fill(&self, plaintext: &mut Plaintext, slots: impl FnOnce(Arrays<'_>)) -> Result<()> {
        let params = self.params();
        let mut scratch = Scratch::new(params.slots());
        slots(scratch.arrays());
        let Arrays { re, im, coefficients } = scratch.arrays();
        let instance = Instance::chosen();
        let largest = [&*re, &*im].map(|part| magnitude(instance, part));
        for (part, largest) in [&*re, &*im].into_iter().zip(largest) {
            if !largest.is_finite() {
                return Err(not_finite(part));
            }
        }
        self.inner.fft.inverse(re, im, coefficients);
        let largest = scale_by(instance, coefficients, plaintext.scale / params.slots() as f64);
        self.check_magnitude(largest, plaintext.level())?;
        let rounding = Rounding::new(largest);
        let level = plaintext.level();
        plaintext.poly.par_limbs_mut().enumerate().for_each(|(position, limb)| {
            let table = params.table(params.limb_index(level, position));
            rounding.residues(limb, coefficients, table.modulus());
            table.forward(limb);
        });
        Ok(())
    }

    fn fill_constant(&self, value: f64, plaintext: &mut Plaintext) -> Result<()> {
        if !value.is_finite() {
            return Err(not_finite(&[value]));
        }
        let (params, level) = (self.params(), plaintext.level());
        let coefficient = value * plaintext.scale;
        self.check_magnitude(coefficient.abs(), level)?;
        let rounding = Rounding::new(coefficient.abs());
        for (position, limb) in plaintext.poly.limbs_mut().enumerate() {
            let mut residues = [0; 8];
            let modulus = params.modulus(params.limb_index(level, position));
            rounding.residues(&mut residues, &[coefficient; 8], modulus);
            limb.fill(residues[0]);
        }
        Ok(())
    }

    /// Refuses coefficients that are not below half the modulus at this level.
    fn check_magnitude(&self, largest: f64, level: usize) -> Result<()> {
        let bits = largest.log2();
        let limit = self.log_modulus(level + 1) - 1.0;
        // A margin for the rounding of coefficients and of the logarithms. NaN fails too.
        if bits <= limit - 1e-6 || largest == 0.0 {
            return Ok(());
        }
        Err(Error::argument(
            "largest coefficient to encode (values times scale)",
            format!("2^{bits:.1}"),
            format!("below 2^{limit:.1}, half the modulus at level {level}"),
        ))
    }

    /// Bits of the product of the first `limbs` primes.
    fn log_modulus(&self, limbs: usize) -> f64 {
        (0..limbs).map(|i| (self.params().modulus(i).value() as f64).log2()).sum()
    }

    fn decode_slots(&self, plaintext: &Plaintext) -> Result<Scratch> {
        let params = self.params();
        self.check_shape(&plaintext.poly)?;
        check_scale(plaintext.scale)?;
        let wanted = plaintext.scale.log2() + DECODED_BITS;
        let mut limbs = 1;
        while limbs <= plaintext.level() && self.log_modulus(limbs) < wanted {
            limbs += 1;
        }
        let mut poly = plaintext.poly.truncated(limbs - 1);
        poly.to_coefficients(params);
        let mut scratch = Scratch::new(params.slots());
        let Arrays { re, im, coefficients } = scratch.arrays();
        let factor = 1.0 / plaintext.scale;
        coefficients.par_chunks_mut(CHUNK).enumerate().for_each_init(
            Vec::new,
            |digits, (i, out)| {
                let chunk = i * CHUNK..i * CHUNK + out.len();
                let residues: Vec<&[u64]> = poly.limbs().map(|limb| &limb[chunk.clone()]).collect();
                self.inner.reconstruction.numbers(out, &residues, factor, digits);
            },
        );
        // The copy goes back to a pool of memory, and it was decrypted.
        poly.zeroize();
        self.inner.fft.forward(coefficients, re, im);
        Ok(scratch)
    }
}

fn check_scale(scale: f64) -> Result<()> {
    if scale.is_normal() && scale > 0.0 {
        return Ok(());
    }
    Err(Error::argument("scale of an encoding", scale, "a positive finite number"))
}

/// The error for the first value that is not finite.
fn not_finite(values: &[f64]) -> Error {
    let position = values.iter().position(|v| !v.is_finite()).unwrap_or(0);
    let found = values.get(position).copied().unwrap_or(f64::NAN);
    Error::argument("value to encode", format!("{found} in slot {position}"), "a finite number")
}
