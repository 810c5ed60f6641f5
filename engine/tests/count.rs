//! Counting changes nothing but what it tells, and tells what the algorithms say.

#![allow(clippy::unwrap_used)]

mod common;

use common::Setup;
use engine::Error;
use engine::cipher::Ciphertext;
use engine::count::{Amount, Call, Counts, Kernel, count};
use engine::kernels::isa;
use engine::keys::KeyForm;
use engine::ntt::corrects;

fn words(ciphertext: &Ciphertext) -> [&[u64]; 2] {
    [ciphertext.c0.words(), ciphertext.c1.words()]
}

/// 46-bit primes, two limbs a digit, two special primes; 5 limbs of 2^12 words.
fn setup() -> (Setup, Ciphertext) {
    let (name, literal) = common::literals().into_iter().nth(3).unwrap();
    let setup = Setup::new(name, &literal);
    let ciphertext = setup.encrypt(&setup.message(1), setup.params.max_level());
    (setup, ciphertext)
}

#[test]
fn a_product_is_counted_on_any_threads() {
    let (setup, ct) = setup();
    let expected = setup.evaluator.multiply(&ct, &ct, false).unwrap();
    let mut all: Vec<Counts> = Vec::new();
    for threads in [1, 2, 3] {
        let product = || setup.evaluator.multiply(&ct, &ct, false).unwrap();
        let (found, counts) = count(threads, product).unwrap();
        assert_eq!(words(&found), words(&expected));
        all.push(counts);
    }
    assert!(all.iter().all(|counts| *counts == all[0]));
    let counts = &all[0];
    let n = 4096;
    // Tensor: four products a word, four operands, three results, on 5 limbs.
    let tensor = Amount {
        calls: 5,
        words: 3 * 5 * n,
        products: 4 * 5 * n,
        reduced_words: 3 * 5 * n,
        read_bytes: 8 * 4 * 5 * n,
        written_bytes: 8 * 3 * 5 * n,
        ..Amount::default()
    };
    assert_eq!(counts.of(Kernel::Tensor), tensor);
    let call = Call { kernel: Kernel::Tensor, length: 4096, packed: true, corrected: false };
    assert_eq!(counts.calls()[&call], tensor);
    // Decomposition 5 limbs, mod-down 2 of either component.
    let inverse = counts.of(Kernel::NttInverse);
    assert_eq!((inverse.calls, inverse.products), (9, 9 * n / 2 * 12));
    // Every constant counts with its quotient.
    assert_eq!(inverse.constant_bytes, 9 * 2 * 8 * n);
    // Digits of 2, 2 and 1 limbs in 7 limbs, mod-down 5 of either component.
    assert_eq!(counts.of(Kernel::NttForward).calls, 3 * 7 - 5 + 10);
    // From the single limb, to the 6 others.
    assert_eq!(counts.of(Kernel::Lift).words, 6 * n);
    // From two limbs and their quotient, 5 each; and in the mod-down.
    assert_eq!(counts.of(Kernel::DotConvert).products, 3 * (2 * 5 + 10) * n);
    assert_eq!(counts.of(Kernel::Quotient).products, 2 * (2 + 2) * n);
    // Three digits by two components on 7 limbs, in chunks; P c0 on 5 limbs.
    let key = counts.of(Kernel::KeyProduct);
    assert_eq!((key.calls, key.words, key.permuted_words), (7 * 8, 2 * 7 * n, 0));
    assert_eq!(key.products, (2 * 3 * 7 + 5) * n);
    // A sum holds three products, whatever the kernels.
    assert_eq!(key.reduced_words, 2 * 7 * n);
    // 47-bit special primes are packed too.
    let form = KeyForm::of_prime(46_f64.exp2());
    assert_eq!(key.key_bytes, 3 * 7 * n * u64::from(form.pair_bits()) / 8);
    assert_eq!(counts.distinct_key_bytes(), key.key_bytes);
    assert_eq!((key.digit_bytes, key.read_bytes), (8 * 3 * 7 * n, 8 * 5 * n));
    assert_eq!(key.mask_words, if form.components == 1 { 3 * 7 * n } else { 0 });
    assert_eq!(counts.of(Kernel::Permute), Amount::default());
}

#[test]
fn only_the_work_that_was_given_is_counted() {
    let (setup, ct) = setup();
    let add = || setup.evaluator.add(&ct, &ct).unwrap();
    let ((), nothing) = count(1, || ()).unwrap();
    assert_eq!(nothing, Counts::default());
    let (_, once) = count(1, add).unwrap();
    assert_eq!(once.of(Kernel::Add).calls, 10);
    // What other threads do meanwhile is not counted, nor is what comes after or what another count counts.
    let (inner, outer) = count(2, || {
        std::thread::scope(|scope| scope.spawn(|| drop(add())).join()).unwrap();
        count(2, add).unwrap().1
    })
    .unwrap();
    assert_eq!((inner, outer), (once.clone(), Counts::default()));
    drop(add());
    let (_, again) = count(1, add).unwrap();
    assert_eq!(again, once);
}

#[test]
fn counting_ends_where_the_work_panics() {
    let (setup, ct) = setup();
    let panics = || -> () { panic!("a panic of the work") };
    let caught = std::panic::catch_unwind(|| count(1, panics));
    assert!(caught.is_err());
    let (_, counts) = count(1, || setup.evaluator.add(&ct, &ct)).unwrap();
    assert_eq!(counts.of(Kernel::Add).calls, 10);
}

#[test]
fn no_threads_are_an_error() {
    let error = count(0, || ()).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    assert!(error.to_string().contains("threads to count on"), "{error}");
}

#[test]
fn primes_that_need_corrections() {
    for log_n in 11..=17 {
        assert!(!corrects(46_f64.exp2(), log_n));
        let large = corrects(50_f64.exp2(), log_n);
        // Word by word, all primes are alike.
        assert_eq!(large, isa().unwrap() != "scalar");
        // Sizes that no prime has.
        assert!(!corrects(f64::NAN, log_n) && !corrects(-1.0, log_n));
        assert_eq!(corrects(f64::INFINITY, log_n), large);
    }
    // Transforms themselves say so.
    for (name, literal) in common::literals() {
        let setup = Setup::new(name, &literal);
        let ct = setup.encrypt(&setup.message(1), 1);
        let (_, counts) = count(1, || setup.evaluator.rescale(&ct).unwrap()).unwrap();
        let first = |i: usize| corrects(setup.params.modulus(i).value() as f64, literal.log_n);
        for (kernel, prime) in [(Kernel::NttInverse, 1), (Kernel::NttForward, 0)] {
            let of = |corrected| {
                counts.total(|call| call.kernel == kernel && call.corrected == corrected).calls
            };
            assert_eq!((of(first(prime)), of(!first(prime))), (2, 0), "{name}");
        }
    }
}
