//! The encoder.

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use rayon::slice::ChunksExactMut;
use zeroize::Zeroize;

use super::Complex;
use super::fft::SpecialFft;
use super::rounding::{CHUNK, Reconstruction, Rounding, magnitude, scale_by};
use super::scratch::{Arrays, Scratch};
use super::subring::{self, Subring};
use crate::cipher::{Plaintext, PlaintextPoly};
use crate::ntt::NttTable;
use crate::params::Parameters;
use crate::poly::{RnsPoly, SubringPoly};
use crate::vector::instance::Instance;
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
    /// Made when first used.
    subrings: Vec<OnceLock<Subring>>,
    reconstruction: Reconstruction,
}

impl Encoder {
    /// An encoder for these parameters.
    pub fn new(params: &Parameters) -> Self {
        let moduli: Vec<_> = (0..=params.max_level()).map(|i| *params.modulus(i)).collect();
        let inner = Inner {
            params: params.clone(),
            fft: SpecialFft::new(params.slots()),
            subrings: (0..subring::count(params)).map(|_| OnceLock::new()).collect(),
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
        let mut poly = self.empty(level, scale, extended)?;
        self.fill_real(&mut poly, values, scale)?;
        Ok(Plaintext::new(poly, scale))
    }

    /// Makes room for so many plaintexts of [`Self::encode`], for ones that are all to be there at a time: memory that is recycled,
    /// and a block for those that find no place in it. A level above the highest has no effect.
    pub fn make_room(&self, count: usize, level: usize, extended: bool) {
        if level <= self.params().max_level() {
            RnsPoly::make_room(count, self.params(), level, extended);
        }
    }

    /// Encodes slots of a period: slot `s` holds `values[s % T]` for the number `T` of values, a power of two. The same
    /// polynomial as [`Self::encode`] makes of all slots, but at the cost of `2T` coefficients, and kept in 2T words a limb
    /// (32 at least) if that is at most an eighth of N.
    ///
    /// # Errors
    /// [`Error::Argument`] for a number of values that is not a power of two up to the number of slots; otherwise as
    /// [`Self::encode`].
    pub fn encode_periodic(
        &self,
        values: &[f64],
        level: usize,
        scale: f64,
        extended: bool,
    ) -> Result<Plaintext> {
        let params = self.params();
        let (period, slots) = (values.len(), params.slots());
        if !period.is_power_of_two() || period > slots {
            let expected = format!("a power of two up to {slots}, which divides the slots");
            return Err(Error::argument("values of a period to encode", period, expected));
        }
        let Some(index) = subring::index(params, period) else {
            let all: Vec<f64> = values.iter().copied().cycle().take(slots).collect();
            return self.encode(&all, level, scale, extended);
        };
        self.check_target(level, scale)?;
        let subring = self.inner.subrings[index].get_or_init(|| Subring::new(params, index));
        let mut scratch = Scratch::new(subring.fft.slots());
        let re = scratch.arrays().re;
        re.iter_mut().zip(values.iter().cycle()).for_each(|(re, &value)| *re = value);
        let rounding = self.embed(&subring.fft, &mut scratch, level, scale)?;
        let coefficients = scratch.arrays().coefficients;
        // All others are zero, as the slots are those of a polynomial in a power of X.
        let step = coefficients.len() / subring.degree();
        let coefficients: Vec<f64> = coefficients.iter().copied().step_by(step).collect();
        let mut poly = SubringPoly::scratch(params, subring.degree(), level, extended);
        transform(poly.par_limbs_mut(), &coefficients, &rounding, |position| {
            &subring.tables[params.limb_index(level, position)]
        });
        Ok(Plaintext { poly: PlaintextPoly::Subring(poly), scale })
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
        let mut poly = self.empty(level, scale, extended)?;
        self.check_count(values.len())?;
        if values.len() == self.params().slots()
            && values.iter().all(|v| v.im == 0.0 && v.re == values[0].re)
        {
            self.fill_constant(&mut poly, values[0].re, scale)?;
            return Ok(Plaintext::new(poly, scale));
        }
        self.fill(&mut poly, scale, |arrays| {
            for ((re, im), value) in arrays.re.iter_mut().zip(arrays.im).zip(values) {
                (*re, *im) = (value.re, value.im);
            }
        })?;
        Ok(Plaintext::new(poly, scale))
    }

    /// As [`Self::encode`], into a plaintext that is there already: with its level and its limbs. Saves the
    /// allocation.
    ///
    /// # Errors
    /// As [`Self::encode`], and [`Error::Argument`] for a plaintext of a short period, which lacks the words; the plaintext
    /// is then of no use, but may be encoded into again.
    pub fn encode_into(&self, values: &[f64], scale: f64, plaintext: &mut Plaintext) -> Result<()> {
        self.check_shape(plaintext)?;
        check_scale(scale)?;
        let PlaintextPoly::Full(poly) = &mut plaintext.poly else {
            let (found, expected) = ("one of a short period", "one with all its words");
            return Err(Error::argument("plaintext to encode into", found, expected));
        };
        plaintext.scale = scale;
        self.fill_real(poly, values, scale)
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
        let mut poly = self.empty(level, scale, extended)?;
        self.fill_constant(&mut poly, value, scale)?;
        Ok(Plaintext::new(poly, scale))
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

    /// A polynomial to encode into: every word is written before anybody sees it.
    fn empty(&self, level: usize, scale: f64, extended: bool) -> Result<RnsPoly> {
        self.check_target(level, scale)?;
        Ok(RnsPoly::scratch(self.params(), level, extended))
    }

    fn check_target(&self, level: usize, scale: f64) -> Result<()> {
        let most = self.params().max_level();
        if level > most {
            return Err(Error::argument("level to encode at", level, format!("at most {most}")));
        }
        check_scale(scale)
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

    fn check_shape(&self, plaintext: &Plaintext) -> Result<()> {
        let (params, level) = (self.params(), plaintext.level());
        if plaintext.n() != params.n() {
            return Err(Error::argument("ring degree of a plaintext", plaintext.n(), params.n()));
        }
        if level > params.max_level() {
            let expected = format!("at most {}", params.max_level());
            return Err(Error::argument("level of a plaintext", level, expected));
        }
        Ok(())
    }

    /// Encodes real values into the first slots.
    fn fill_real(&self, poly: &mut RnsPoly, values: &[f64], scale: f64) -> Result<()> {
        self.check_count(values.len())?;
        // Equal values in all slots are a constant polynomial, the same in NTT form: nothing to transform.
        if values.len() == self.params().slots() && values.iter().all(|&v| v == values[0]) {
            return self.fill_constant(poly, values[0], scale);
        }
        self.fill(poly, scale, |arrays| arrays.re[..values.len()].copy_from_slice(values))
    }

    /// Encodes the slots that `slots` writes.
    fn fill(&self, poly: &mut RnsPoly, scale: f64, slots: impl FnOnce(Arrays<'_>)) -> Result<()> {
        let (params, level) = (self.params(), poly.level());
        let mut scratch = Scratch::new(params.slots());
        slots(scratch.arrays());
        let rounding = self.embed(&self.inner.fft, &mut scratch, level, scale)?;
        let coefficients = &*scratch.arrays().coefficients;
        transform(poly.par_limbs_mut(), coefficients, &rounding, |position| {
            params.table(params.limb_index(level, position))
        });
        Ok(())
    }

    /// Makes coefficients of slots, times the scale, and tells how to round them.
    fn embed(
        &self,
        fft: &SpecialFft,
        scratch: &mut Scratch,
        level: usize,
        scale: f64,
    ) -> Result<Rounding> {
        let Arrays { re, im, coefficients } = scratch.arrays();
        let instance = Instance::chosen();
        let largest = [&*re, &*im].map(|part| magnitude(instance, part));
        for (part, largest) in [&*re, &*im].into_iter().zip(largest) {
            if !largest.is_finite() {
                return Err(not_finite(part));
            }
        }
        fft.inverse(re, im, coefficients);
        let largest = scale_by(instance, coefficients, scale / fft.slots() as f64);
        self.check_magnitude(largest, level)?;
        Ok(Rounding::new(largest))
    }

    fn fill_constant(&self, poly: &mut RnsPoly, value: f64, scale: f64) -> Result<()> {
        if !value.is_finite() {
            return Err(not_finite(&[value]));
        }
        let (params, level) = (self.params(), poly.level());
        let coefficient = value * scale;
        self.check_magnitude(coefficient.abs(), level)?;
        let rounding = Rounding::new(coefficient.abs());
        for (position, limb) in poly.limbs_mut().enumerate() {
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
        let limit = self.params().log_q(level) - 1.0;
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

    fn decode_slots(&self, plaintext: &Plaintext) -> Result<Scratch> {
        let params = self.params();
        self.check_shape(plaintext)?;
        check_scale(plaintext.scale)?;
        let wanted = plaintext.scale.log2() + DECODED_BITS;
        let mut level = 0;
        while level < plaintext.level() && params.log_q(level) < wanted {
            level += 1;
        }
        let mut residues = plaintext.truncated(level).into_coefficients(params);
        let mut scratch = Scratch::new(params.slots());
        let Arrays { re, im, coefficients } = scratch.arrays();
        let factor = 1.0 / plaintext.scale;
        coefficients.par_chunks_mut(CHUNK).enumerate().for_each_init(
            Vec::new,
            |digits, (i, out)| {
                let chunk = i * CHUNK..i * CHUNK + out.len();
                let chunks: Vec<&[u64]> =
                    residues.limbs().map(|limb| &limb[chunk.clone()]).collect();
                self.inner.reconstruction.numbers(out, &chunks, factor, digits);
            },
        );
        // The copy goes back to a pool of memory, and it was decrypted.
        residues.zeroize();
        self.inner.fft.forward(coefficients, re, im);
        Ok(scratch)
    }
}

/// Rounds coefficients into every limb and transforms it, by the table of its position.
fn transform<'t>(
    limbs: ChunksExactMut<'_, u64>,
    coefficients: &[f64],
    rounding: &Rounding,
    table: impl Fn(usize) -> &'t NttTable + Sync,
) {
    limbs.enumerate().for_each(|(position, limb)| {
        let table = table(position);
        rounding.residues(limb, coefficients, table.modulus());
        table.forward(limb);
    });
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
