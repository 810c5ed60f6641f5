//! The keys that the party who computes needs, and nothing more.

use std::collections::BTreeMap;

use rayon::prelude::*;
use zeroize::Zeroize;

use super::{SecretKey, SwitchingKey};
use crate::buffer::AlignedBuf;
use crate::kernels::kernels;
use crate::params::{Fingerprint, Parameters};
use crate::poly::{Automorphism, RnsPoly};
use crate::sampling;
use crate::{Error, Result};

/// Which keys to generate, each for values up to some level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySpec {
    /// Relinearisation after products.
    pub relinearisation: Option<usize>,
    /// Complex conjugation.
    pub conjugation: Option<usize>,
    /// Left rotations by a number of slots (not zero).
    pub rotations: BTreeMap<usize, usize>,
}

/// Key for one automorphism: switches from `s` to `sigma^-1(s)`, so that the automorphism is applied after the
/// inner product, to two limbs instead of one a digit.
pub struct GaloisKey {
    /// The key.
    pub key: SwitchingKey,
    /// The automorphism.
    pub automorphism: Automorphism,
}

/// Relinearisation and automorphism keys.
pub struct EvaluationKeys {
    fingerprint: Fingerprint,
    pub(crate) relinearisation: Option<SwitchingKey>,
    /// By Galois element.
    pub(crate) galois: BTreeMap<usize, GaloisKey>,
}

impl EvaluationKeys {
    /// Generates the keys of a specification.
    ///
    /// # Errors
    /// [`Error::Level`] for a level above the parameters', [`Error::Argument`] for a rotation that is not in
    /// `1..slots`.
    pub fn generate(secret: &SecretKey, spec: &KeySpec) -> Result<Self> {
        let params = secret.params();
        let elements = galois_elements(params, spec)?;
        let levels = elements.iter().map(|&(_, level)| level).chain(spec.relinearisation);
        let mut rooms = SwitchingKey::room(params, levels);
        let own = rooms.split_off(elements.len());
        let relinearisation =
            spec.relinearisation.zip(own.into_iter().next()).map(|(level, own)| {
                let mut square = RnsPoly::zero(params, params.max_level(), true);
                square.par_limbs_mut().enumerate().for_each(|(i, limb)| {
                    let s = secret.poly().limb(i);
                    (kernels().mul)(limb, s, s, params.modulus(i));
                });
                let mut rng = sampling::os_rng();
                let key =
                    SwitchingKey::generate(params, &square, secret.poly(), level, own, &mut rng);
                square.zeroize();
                key
            });
        let galois = elements
            .into_par_iter()
            .zip(rooms)
            .map(|((element, level), own)| (element, galois_key(secret, element, level, own)))
            .collect();
        Ok(Self { fingerprint: params.fingerprint(), relinearisation, galois })
    }

    /// Reassembles keys, for the reader of key files.
    pub(crate) fn from_parts(
        params: &Parameters,
        relinearisation: Option<SwitchingKey>,
        galois: Vec<(usize, SwitchingKey)>,
    ) -> Self {
        let galois = galois
            .into_iter()
            .map(|(element, key)| {
                let automorphism = Automorphism::new(params.log_n(), element);
                (element, GaloisKey { key, automorphism })
            })
            .collect();
        Self { fingerprint: params.fingerprint(), relinearisation, galois }
    }

    /// The parameters these keys belong to.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let relinearisation = self.relinearisation.as_ref().map_or(0, SwitchingKey::bytes);
        let galois = self.galois.values().map(|g| g.key.bytes() + g.automorphism.bytes());
        relinearisation + galois.sum::<usize>()
    }

    /// Checks that keys belong to `params`, and that every one of a specification is there, for its level or a higher one.
    ///
    /// # Errors
    /// [`Error::ForeignParameters`]; [`Error::MissingKey`] for the first that is not there; those of a specification that
    /// [`Self::generate`] refuses.
    pub fn check(&self, params: &Parameters, spec: &KeySpec) -> Result<()> {
        self.fingerprint.check(params.fingerprint(), "the evaluation key set")?;
        for (element, level) in galois_elements(params, spec)? {
            self.galois(element, level)?;
        }
        spec.relinearisation.map_or(Ok(()), |level| self.relinearisation(level).map(drop))
    }

    /// The relinearisation key, if it serves `level`.
    pub(crate) fn relinearisation(&self, level: usize) -> Result<&SwitchingKey> {
        self.relinearisation
            .as_ref()
            .filter(|key| key.level() >= level)
            .ok_or_else(|| Error::MissingKey { what: "relinearisation".into(), level })
    }

    /// The key of a Galois element, if it serves `level`.
    pub(crate) fn galois(&self, element: usize, level: usize) -> Result<&GaloisKey> {
        self.galois.get(&element).filter(|g| g.key.level() >= level).ok_or_else(|| {
            Error::MissingKey { what: format!("the automorphism X -> X^{element}"), level }
        })
    }
}

/// Galois elements of a specification, checked, each with its level.
fn galois_elements(params: &Parameters, spec: &KeySpec) -> Result<Vec<(usize, usize)>> {
    let log_n = params.log_n();
    let mut elements = Vec::with_capacity(spec.rotations.len() + 1);
    for (&shift, &level) in &spec.rotations {
        if shift == 0 || shift >= params.slots() {
            let expected = format!("1 to {}", params.slots() - 1);
            return Err(Error::argument("rotation", shift, expected));
        }
        elements.push((Automorphism::galois_of_rotation(log_n, shift), level));
    }
    elements.extend(spec.conjugation.map(|l| (Automorphism::galois_of_conjugation(log_n), l)));
    let highest = elements.iter().map(|&(_, level)| level).chain(spec.relinearisation).max();
    match highest {
        Some(found) if found > params.max_level() => {
            Err(Error::Level { what: "key generation", found, expected: params.max_level() })
        }
        _ => Ok(elements),
    }
}

fn galois_key(secret: &SecretKey, element: usize, level: usize, own: AlignedBuf) -> GaloisKey {
    let params = secret.params();
    let inverse =
        Automorphism::new(params.log_n(), Automorphism::galois_inverse(params.log_n(), element));
    let mut target = RnsPoly::zero(params, params.max_level(), true);
    target
        .par_limbs_mut()
        .enumerate()
        .for_each(|(i, limb)| inverse.apply(limb, secret.poly().limb(i)));
    let mut rng = sampling::os_rng();
    let key = SwitchingKey::generate(params, secret.poly(), &target, level, own, &mut rng);
    target.zeroize();
    GaloisKey { key, automorphism: Automorphism::new(params.log_n(), element) }
}
