//! Client and server with nothing but files between them.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Tiny, bytes};
use engine::serial;
use runtime::client::{Client, ClientSpec, Encryptor};
use runtime::server::{CompiledModel, Server};
use runtime::{Error, message::Envelope};
use simulator::program::PlaintextForm;

/// Everything that two parties send each other.
struct Files {
    client: Vec<u8>,
    model: Vec<u8>,
    secret: Vec<u8>,
    keys: Vec<u8>,
    public: Vec<u8>,
}

impl Files {
    fn of(tiny: &Tiny) -> Self {
        let client = Client::generate(tiny.spec.clone()).unwrap();
        let keys = client.evaluation_keys().unwrap();
        Self {
            client: bytes(|out| tiny.spec.write(out)),
            model: bytes(|out| tiny.compiled.write(out)),
            secret: bytes(|out| serial::write_secret_key_unprotected(out, client.secret())),
            keys: bytes(|out| serial::write_evaluation_keys(out, &tiny.spec.params, &keys)),
            public: bytes(|out| serial::write_public_key(out, &client.public_key())),
        }
    }

    fn client(&self) -> Client {
        let spec = ClientSpec::read(&self.client[..], true).unwrap();
        let secret = serial::read_secret_key_unprotected(&self.secret[..], &spec.params).unwrap();
        Client::with_secret(spec, secret).unwrap()
    }

    fn encryptor(&self) -> Encryptor {
        let spec = ClientSpec::read(&self.client[..], true).unwrap();
        let key = serial::read_public_key(&self.public[..], &spec.params).unwrap();
        Encryptor::new(spec, key).unwrap()
    }

    fn server(&self, form: PlaintextForm) -> Server {
        let model = CompiledModel::read(&self.model[..], true).unwrap();
        let keys = serial::read_evaluation_keys(&self.keys[..], model.params()).unwrap();
        Server::new(model, Arc::new(keys), form).unwrap()
    }
}

fn results(client: &Client, messages: &[u8]) -> Vec<Vec<f64>> {
    let mut all = Vec::new();
    client.read_results(messages, |logits| all.push(logits)).unwrap();
    all
}

fn answer(server: &Server, messages: &[u8]) -> Vec<u8> {
    bytes(|out| server.answer(messages, out, |_, _| Ok::<_, Error>(())))
}

#[test]
fn two_parties_classify_images() {
    let tiny = Tiny::new(3, 3);
    let files = Files::of(&tiny);
    let images: Vec<Vec<f64>> = (0..3).map(Tiny::image).collect();
    // Two messages in one stream, of either kind of encryption.
    let mut stream = bytes(|out| files.client().write_images(out, images[..2].iter().cloned()));
    files.encryptor().write_images(&mut stream, images[2..].iter().cloned()).unwrap();
    for form in [PlaintextForm::Stored, PlaintextForm::ON_DEMAND] {
        let answers = answer(&files.server(form), &stream);
        let logits = results(&files.client(), &answers);
        assert_eq!(logits.len(), 3);
        for (logits, image) in logits.iter().zip(&images) {
            let exact = tiny.logits(image);
            let largest = exact.iter().fold(0.0f64, |m, v| v.abs().max(m));
            assert_eq!(logits.len(), 5);
            for (a, b) in logits.iter().zip(&exact) {
                assert!((a - b).abs() < 1e-3 * largest, "{logits:?} {exact:?}");
            }
        }
    }
}

/// Two images share a ciphertext: half as many inferences, and each image's logits; in messages of odd numbers of images the
/// last place is empty.
#[test]
fn two_parties_classify_images_that_share_ciphertexts() {
    let tiny = Tiny::of_images(3, 3, 2);
    let files = Files::of(&tiny);
    let images: Vec<Vec<f64>> = (0..7).map(Tiny::image).collect();
    let mut stream = bytes(|out| files.client().write_images(out, images[..4].iter().cloned()));
    let upload = stream.len();
    files.encryptor().write_images(&mut stream, images[4..].iter().cloned()).unwrap();
    let alone = Tiny::new(3, 3).spec.sizes().unwrap();
    // Two messages' heads are some hundred bytes.
    assert!((upload as u64) < 2 * alone.upload + 200, "{upload} {alone:?}");
    for form in [PlaintextForm::Stored, PlaintextForm::ON_DEMAND] {
        let server = files.server(form);
        let (mut answers, mut counts) = (Vec::new(), Vec::new());
        let finished = |_: &_, images| {
            counts.push(images);
            Ok::<_, Error>(())
        };
        server.answer(&stream[..], &mut answers, finished).unwrap();
        assert_eq!(counts, [2, 2, 2, 1]);
        let logits = results(&files.client(), &answers);
        assert_eq!(logits.len(), 7);
        for (logits, image) in logits.iter().zip(&images) {
            let exact = tiny.logits(image);
            assert_eq!(logits.len(), 5);
            for (a, b) in logits.iter().zip(&exact) {
                assert!((a - b).abs() < tiny.tolerance(), "{logits:?} {exact:?}");
            }
        }
    }
    // The test tells images apart.
    let [a, b] = [0, 1].map(|k| tiny.logits(&images[k]));
    let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart > 10.0 * tiny.tolerance(), "{apart} {}", tiny.tolerance());
    // A ciphertext has no more places.
    let error = tiny.spec.pack(&images[..3]).unwrap_err().to_string();
    assert!(error.contains("number of images is 3, expected 1 to 2"), "{error}");
    assert!(tiny.spec.pack::<Vec<f64>>(&[]).is_err());
}

/// What was made for one number of images is refused by what was made for another, of the same parameters; numbers that no
/// ciphertext has are refused, too.
#[test]
fn numbers_of_images_are_told_apart() {
    let [alone, shared] = [1, 2].map(|images| Files::of(&Tiny::of_images(3, 3, images)));
    let images = || (0..2).map(Tiny::image).collect::<Vec<_>>().into_iter();
    let spec = ClientSpec::read(&shared.client[..], true).unwrap();
    let secret = serial::read_secret_key_unprotected(&alone.secret[..], &spec.params).unwrap();
    let client = Client::with_secret(spec.clone(), secret).unwrap();
    let message = bytes(|out| client.write_images(out, images()));
    let server = alone.server(PlaintextForm::Stored);
    let error = server.answer(&message[..], Vec::new(), |_, _| Ok::<_, Error>(())).unwrap_err();
    assert!(matches!(error, Error::ForeignModel { .. }), "{error}");
    for images in [0, 3, 2 * spec.params.slots(), 1 << 31] {
        let bad = ClientSpec { images, ..spec.clone() };
        let error = bad.check().unwrap_err().to_string();
        assert!(error.starts_with(&format!("images is {images}, expected a power of two")));
        let file = bytes(|out| bad.write(out));
        let error = ClientSpec::read(&file[..], true).unwrap_err().to_string();
        assert!(error.contains(&format!("images is {images}, expected")), "{error}");
    }
    // The layouts are those of half the slots.
    let error = ClientSpec { images: 1, ..spec }.check().unwrap_err().to_string();
    assert!(error.contains("slots of a layout is 512, expected 1024"), "{error}");
    // A model whose program is for another number of images is not written.
    let mut model = Tiny::of_images(3, 3, 2).compiled;
    model.images.images = 1;
    assert!(model.write(Vec::new()).unwrap_err().to_string().contains("images of a plaintext"));
}

#[test]
fn files_keep_every_bit() {
    for images in [1, 2] {
        files_keep(&Tiny::of_images(4, 3, images));
    }
}

fn files_keep(tiny: &Tiny) {
    let files = Files::of(tiny);
    let spec = ClientSpec::read(&files.client[..], true).unwrap();
    assert_eq!(bytes(|out| spec.write(out)), files.client);
    assert_eq!(spec.fingerprint().unwrap(), tiny.spec.fingerprint().unwrap());
    let model = CompiledModel::read(&files.model[..], true).unwrap();
    assert_eq!(bytes(|out| model.write(out)), files.model);
    assert_eq!(model.images.spec, spec.fingerprint().unwrap());
    assert_eq!(model.program.instructions, tiny.compiled.program.instructions);
    assert_eq!(model.program.values, tiny.compiled.program.values);
    let pairs = model.program.plaintexts.iter().zip(&tiny.compiled.program.plaintexts);
    for (read, written) in pairs {
        assert_eq!(read.values_bytes, written.values_bytes);
        let values = [read, written].map(|p| p.period_values().unwrap());
        assert_eq!(values[0], values[1]);
    }
    // Weights that are shared are there once: no more bytes than entries and the few whole vectors have.
    let bulk: u64 = tiny.compiled.program.plaintexts.iter().map(|p| p.values_bytes).sum();
    assert!((files.model.len() as u64) < 2 * bulk + 20_000, "{} {bulk}", files.model.len());
}

#[test]
fn sizes_are_known_before() {
    for images in [1, 2] {
        sizes_of(&Tiny::of_images(3, 3, images));
    }
}

fn sizes_of(tiny: &Tiny) {
    let files = Files::of(tiny);
    let sizes = tiny.spec.sizes().unwrap();
    let images = || vec![Tiny::image(0); tiny.spec.images].into_iter();
    let message = bytes(|out| files.client().write_images(out, images()));
    let public = bytes(|out| files.encryptor().write_images(out, images()));
    let result = answer(&files.server(PlaintextForm::Stored), &message);
    for (size, file) in [
        (sizes.evaluation_keys, &files.keys),
        (sizes.secret_key, &files.secret),
        (sizes.public_key, &files.public),
        (sizes.upload, &message),
        (sizes.public_upload, &public),
        (sizes.download, &result),
    ] {
        assert_eq!(size, file.len() as u64);
    }
    // Whole words of both halves, as they would lie in memory.
    let params = &tiny.spec.params;
    let limb = 8 * params.n();
    let upload = tiny.spec.input.ciphertexts() * 2 * (tiny.spec.fresh.level + 1) * limb;
    let keys = &tiny.spec.keys;
    let levels = keys.rotations.values().copied().chain(keys.relinearisation);
    let key =
        |level: usize| 2 * params.digits(level).len() * (level + 1 + params.special_count()) * limb;
    let whole: usize = levels.map(key).sum();
    assert!(upload as f64 > 1.7 * sizes.upload as f64, "{upload} {sizes:?}");
    assert!(whole as f64 > 1.7 * sizes.evaluation_keys as f64, "{whole} {sizes:?}");
}

#[test]
fn what_belongs_to_others_is_refused() {
    let (own, other) = (Tiny::new(3, 3), Tiny::new(4, 3));
    let [own, foreign] = [own, other].map(|tiny| Files::of(&tiny));
    let client = own.client();
    let message = bytes(|out| client.write_images(out, [Tiny::image(0)].into_iter()));
    let params = &client.spec().params;
    let theirs = CompiledModel::read(&foreign.model[..], true).unwrap();
    let named = |error: &str| {
        let fingerprints = [params, theirs.params()].map(|p| p.fingerprint().to_string());
        assert!(fingerprints.iter().all(|f| error.contains(f)), "{error}");
    };
    // Keys of either kind, under parameters of another model.
    named(&serial::read_evaluation_keys(&own.keys[..], theirs.params()).err().unwrap().to_string());
    named(&serial::read_public_key(&own.public[..], theirs.params()).err().unwrap().to_string());
    let secret = serial::read_secret_key_unprotected(&own.secret[..], theirs.params());
    named(&secret.err().unwrap().to_string());
    let spec = foreign.client().spec().clone();
    let secret = serial::read_secret_key_unprotected(&own.secret[..], params).unwrap();
    named(&Client::with_secret(spec.clone(), secret).err().unwrap().to_string());
    let public = serial::read_public_key(&own.public[..], params).unwrap();
    named(&Encryptor::new(spec, public).err().unwrap().to_string());
    let keys = Arc::new(serial::read_evaluation_keys(&own.keys[..], params).unwrap());
    named(&Server::new(theirs.clone(), keys, PlaintextForm::Stored).err().unwrap().to_string());
    // Images and results.
    let server = foreign.server(PlaintextForm::Stored);
    let error = server.answer(&message[..], Vec::new(), |_, _| Ok::<_, Error>(())).unwrap_err();
    named(&error.to_string());
    let answers = answer(&own.server(PlaintextForm::Stored), &message);
    named(&foreign.client().read_results(&answers[..], drop).unwrap_err().to_string());
    // Images are no results, and the other way round.
    let error = client.read_results(&message[..], drop).unwrap_err().to_string();
    assert!(error.contains("encrypted images") && error.contains("encrypted results"), "{error}");
}

#[test]
fn models_of_the_same_parameters_are_told_apart() {
    let tiny = Tiny::new(3, 3);
    let files = Files::of(&tiny);
    let mut other = tiny.spec.clone();
    other.normalisation.mean[0] = 0.5;
    let message = bytes(|out| files.client().write_images(out, [Tiny::image(0)].into_iter()));
    let envelope: Envelope = other.images().unwrap();
    let error = envelope.open(&message[..]).unwrap_err();
    assert!(matches!(error, Error::ForeignModel { .. }), "{error}");
    let error = error.to_string();
    for spec in [&tiny.spec, &other] {
        assert!(error.contains(&spec.fingerprint().unwrap().to_string()), "{error}");
    }
}

#[test]
fn keys_that_are_missing_are_named_before_anything_runs() {
    let tiny = Tiny::new(3, 3);
    let mut fewer = tiny.spec.clone();
    fewer.keys.rotations.pop_last();
    let keys = Client::generate(fewer).unwrap().evaluation_keys().unwrap();
    let error = Server::new(tiny.compiled, Arc::new(keys), PlaintextForm::Stored).err().unwrap();
    assert!(error.to_string().starts_with("no key for the automorphism"), "{error}");
}

#[test]
fn no_file_of_a_server_has_the_secret() {
    let tiny = Tiny::new(3, 3);
    let files = Files::of(&tiny);
    let client = files.client();
    let message = bytes(|out| client.write_images(out, [Tiny::image(0)].into_iter()));
    let answers = answer(&files.server(PlaintextForm::Stored), &message);
    // The packed coefficients between header and checksum; any 16 bytes of them.
    let secret = &files.secret[52..files.secret.len() - 32];
    let spec = &client.spec().params;
    for file in [&files.client, &files.model, &files.keys, &files.public, &message, &answers] {
        let known: std::collections::HashSet<&[u8]> = secret.windows(16).collect();
        assert!(!file.windows(16).any(|bytes| known.contains(bytes)));
        // At no place of it does a secret key begin.
        for at in 0..file.len() {
            if file[at..].starts_with(b"SPENCNN") {
                assert!(serial::read_secret_key_unprotected(&file[at..], spec).is_err());
            }
        }
    }
    // Those bytes are what a secret key file has.
    assert!(serial::read_secret_key_unprotected(&files.secret[..], spec).is_ok());
}

#[test]
fn images_beyond_their_bounds_are_refused() {
    let mut spec = Tiny::new(3, 3).spec;
    spec.bound = spec.normalisation.largest();
    assert_eq!(spec.bound, Some(1.5));
    assert!(spec.pack(&[Tiny::image(0)]).is_ok());
    // Its contrast is not limited, which would bring it back.
    spec.normalisation.contrast = None;
    for bad in [1.5, -0.6, f64::NAN, f64::INFINITY] {
        let mut image = Tiny::image(0);
        image[5] = bad;
        let error = spec.pack(&[image]).unwrap_err().to_string();
        assert!(error.contains("pixels from 0 to 1"), "{error}");
    }
    assert!(spec.pack(&[[0.5; 63]]).is_err());
}
