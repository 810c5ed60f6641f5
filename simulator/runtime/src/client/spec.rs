//! What a client needs to know.

use engine::keys::KeySpec;
use engine::params::{Fingerprint, Parameters};
use engine::serial::{self, Kind};
use sha2::{Digest, Sha256};
use simulator::config::image_slots;
use simulator::interpret::ResultErrors;
use simulator::layout::{Layout, MAX_SLOTS};
use simulator::lowering::{pack_images, unpack_image};
use simulator::network::{ConvGeometry, Normalisation};
use simulator::program::ValueInfo;

use crate::message::Envelope;
use crate::{Error, Result};

/// Most slots of the ciphertexts of one image: 4096 ciphertexts of the largest ring.
const MOST_INPUT_SLOTS: usize = MAX_SLOTS << 12;
/// Largest stride, padding or kernel of the convolution whose patches a client makes.
const MOST_STEPS: usize = 1 << 16;

/// What a client needs to know of a compiled model: how images become ciphertexts and ciphertexts logits, and which keys to
/// make.
#[derive(Debug, Clone)]
pub struct ClientSpec {
    /// Parameters.
    pub params: Parameters,
    /// Name of the network.
    pub network: String,
    /// Shape of an image, and how it is normalised.
    pub normalisation: Normalisation,
    /// The most that the values of a normalised image are in absolute value, where the network is only known to keep to its
    /// bounds for such.
    pub bound: Option<f64>,
    /// Images that share a ciphertext, a power of two: slot `s` of image `i` is its slot `s * images + i`.
    pub images: usize,
    /// Layout of the encrypted image, or of its patches, in the slots that it has of a ciphertext.
    pub input: Layout,
    /// If the client makes patches: of which convolution.
    pub patches: Option<ConvGeometry>,
    /// Level and scale of fresh ciphertexts.
    pub fresh: ValueInfo,
    /// Evaluation keys to make, each with its level.
    pub keys: KeySpec,
    /// Layout of the encrypted logits, in the same; their number is that of its map's values.
    pub output: Layout,
    /// Level and scale of results.
    pub result: ValueInfo,
    /// Errors that results are expected to have, where they were simulated: without them, none can be decrypted to be shared.
    pub errors: Option<ResultErrors>,
}

/// Sizes in bytes of what goes between client and server, as files: known before any of them is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Evaluation keys.
    pub evaluation_keys: u64,
    /// The secret key.
    pub secret_key: u64,
    /// The public key.
    pub public_key: u64,
    /// As many images as share a ciphertext, one mostly, encrypted under the secret key.
    pub upload: u64,
    /// The same, encrypted under the public key.
    pub public_upload: u64,
    /// The results of those images.
    pub download: u64,
}

impl ClientSpec {
    /// Checks that everything fits together. Whatever is read has passed.
    ///
    /// # Errors
    /// [`Error::Argument`], or one of the layouts', for the first that does not.
    pub fn check(&self) -> Result<()> {
        let Self { params, normalisation, input, output, .. } = self;
        normalisation.check()?;
        let slots = image_slots(self.images, params.log_n())?;
        for layout in [input, output] {
            layout.check()?;
            if layout.slots != slots {
                return Err(Error::argument("slots of a layout", layout.slots, slots));
            }
            let slots = layout.ciphertexts().saturating_mul(layout.slots);
            if slots == 0 || slots > MOST_INPUT_SLOTS {
                let expected = format!("1 to {MOST_INPUT_SLOTS}");
                return Err(Error::argument("slots of an image or a result", slots, expected));
            }
        }
        self.check_patches()?;
        if let Some(g) = &self.patches {
            let shared = input.clone().of_patches(g).ciphertexts();
            if input.ciphertexts() != shared {
                return Err(Error::argument("ciphertexts of patches", input.ciphertexts(), shared));
            }
        }
        if let Some(bound) = self.bound.filter(|b| !(b.is_finite() && *b > 0.0)) {
            return Err(Error::argument("bound of an image", bound, "a positive number"));
        }
        let keys = &self.keys;
        let levels = keys.rotations.values().copied().chain(keys.relinearisation);
        let levels = levels.chain(keys.conjugation).chain([self.fresh.level, self.result.level]);
        if let Some(level) = levels.max().filter(|level| *level > params.max_level()) {
            let expected = format!("at most {}", params.max_level());
            return Err(Error::argument("level", level, expected));
        }
        let outside = |shift: &&usize| **shift == 0 || **shift >= params.slots();
        if let Some(shift) = keys.rotations.keys().find(outside) {
            let expected = format!("1 to {}", params.slots() - 1);
            return Err(Error::argument("rotation", shift, expected));
        }
        if let Some(errors) = &self.errors {
            let ResultErrors { count, length, largest, size } = *errors;
            if count != self.classes() {
                return Err(Error::argument("results with errors", count, self.classes()));
            }
            let bad = [length, largest, size].into_iter().find(|v| !(v.is_finite() && *v >= 0.0));
            if let Some(bad) = bad {
                return Err(Error::argument("expected error of a result", bad, "zero or more"));
            }
        }
        for scale in [self.fresh.scale, self.result.scale] {
            if !(scale.is_finite() && scale > 0.0) {
                return Err(Error::argument("scale", scale, "a positive number"));
            }
        }
        Ok(())
    }

    /// Checks the shapes of images and patches against the layout's map.
    pub(super) fn check_patches(&self) -> Result<()> {
        let (image, map) = (self.normalisation.shape, self.input.shape);
        let Some(g) = &self.patches else {
            return match image == map {
                true => Ok(()),
                false => Err(Error::argument("map of the input layout", map, image)),
            };
        };
        let steps = [g.kernel.0, g.kernel.1, g.stride.0, g.stride.1, g.groups];
        let steps = steps.into_iter().chain([g.padding.0 + 1, g.padding.1 + 1]);
        let steps_fit = steps.into_iter().all(|v| (1..=MOST_STEPS).contains(&v));
        // None of them is more than a map may have.
        let channels =
            steps_fit.then(|| g.input.channels.checked_mul(g.kernel.0)?.checked_mul(g.kernel.1));
        let fits = channels.flatten() == Some(map.channels)
            && g.input == image
            && (g.output.height, g.output.width) == (map.height, map.width);
        if fits {
            return Ok(());
        }
        let found = format!("{g:?}");
        let expected = format!("a convolution of {image} whose patches are a map {map}");
        Err(Error::argument("convolution of patches", found, expected))
    }

    /// Identity of this specification: SHA-256 over all of its file. Compiled models and messages carry it, too.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        let mut bytes = Vec::new();
        self.write(&mut bytes)?;
        Ok(Fingerprint(Sha256::digest(bytes).into()))
    }

    /// Number of logits.
    pub fn classes(&self) -> usize {
        self.output.shape.len()
    }

    /// What stands before encrypted images.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn images(&self) -> Result<Envelope> {
        self.envelope(Kind::EncryptedImages, &self.input, self.fresh)
    }

    /// What stands before encrypted results.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn results(&self) -> Result<Envelope> {
        self.envelope(Kind::EncryptedResults, &self.output, self.result)
    }

    fn envelope(&self, kind: Kind, layout: &Layout, info: ValueInfo) -> Result<Envelope> {
        Ok(Envelope {
            kind,
            params: self.params.clone(),
            spec: self.fingerprint()?,
            images: self.images,
            each: layout.ciphertexts(),
            info,
        })
    }

    /// Slot vectors to encrypt for raw images (`[channel][row][column]`, 0 to 1): one, or up to as many as share a ciphertext.
    /// Places of images that there are not hold zeros.
    ///
    /// # Errors
    /// [`Error::Argument`] for values that are none, or beyond [`Self::bound`]; an image of another length; no image, or too
    /// many.
    pub fn pack<I: AsRef<[f64]>>(&self, images: &[I]) -> Result<Vec<Vec<f64>>> {
        let normalised = images.iter().map(|image| self.normalise(image.as_ref()));
        let normalised = normalised.collect::<Result<Vec<_>>>()?;
        Ok(pack_images((&self.input, self.images), self.patches.as_ref(), &normalised)?)
    }

    /// The slots of one ciphertext after the other, for raw images of which as many as can be share ciphertexts.
    pub(super) fn each_packed(
        &self,
        mut images: impl Iterator<Item = Vec<f64>>,
        mut each: impl FnMut(&[f64]) -> Result<()>,
    ) -> Result<()> {
        loop {
            let some: Vec<Vec<f64>> = images.by_ref().take(self.images).collect();
            if some.is_empty() {
                return Ok(());
            }
            self.pack(&some)?.iter().try_for_each(|slots| each(slots))?;
        }
    }

    /// The logits of the first `count` images that share ciphertexts, from the slots of their results.
    ///
    /// # Errors
    /// Slot vectors of other numbers or lengths than the layout's.
    pub fn unpack(&self, slots: &[Vec<f64>], count: usize) -> Result<Vec<Vec<f64>>> {
        let all = 0..count.min(self.images);
        all.map(|i| Ok(unpack_image((&self.output, self.images), slots, i)?)).collect()
    }

    /// A raw image, normalised and within its bound.
    fn normalise(&self, image: &[f64]) -> Result<Vec<f64>> {
        let normalised = self.normalisation.apply(image)?;
        let most = self.bound.unwrap_or(f64::MAX) * (1.0 + 1e-9);
        if let Some(bad) = normalised.iter().find(|v| v.is_nan() || v.abs() > most) {
            let expected = match self.bound {
                Some(bound) => {
                    format!("at most {bound:.4} in absolute value, as of pixels from 0 to 1")
                }
                None => "a finite number".to_owned(),
            };
            return Err(Error::argument("a value of a normalised image", bad, expected));
        }
        Ok(normalised)
    }

    /// Sizes of what goes between client and server.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn sizes(&self) -> Result<Sizes> {
        let (params, images, results) = (&self.params, self.images()?, self.results()?);
        Ok(Sizes {
            evaluation_keys: serial::evaluation_keys_bytes(params, &self.keys),
            secret_key: serial::secret_key_bytes(params),
            public_key: serial::public_key_bytes(params),
            upload: images
                .bytes(self.images, serial::seeded_ciphertext_bytes(params, self.fresh.level)),
            public_upload: images
                .bytes(self.images, serial::ciphertext_bytes(params, self.fresh.level)),
            download: results
                .bytes(self.images, serial::ciphertext_bytes(params, self.result.level)),
        })
    }
}
