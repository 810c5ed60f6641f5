//! Results that may be shown: they have the precision that is forecast, or are refused.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::image;
use common::layers::{act, conv, fc, random};
use engine::encoding::Encoder;
use engine::keys::{EvaluationKeys, SecretKey};
use engine::params::{Chain as Primes, Parameters, ParametersLiteral};
use simulator::chain::Chain;
use simulator::config::{Configuration, ParameterChoice};
use simulator::fold::{ActivationMethod, Folded};
use simulator::interpret::{NoiseModel, Session, Sharing, predict_errors};
use simulator::lowering::{Lowered, lower};
use simulator::network::Model;
use simulator::precision::{Demand, Precision};
use simulator::program::PlaintextForm;

/// A network, lowered at a scale that leaves room for noise.
struct Case {
    model: Model,
    params: Parameters,
    lowered: Lowered,
    images: Vec<Vec<f64>>,
    exact: Vec<Vec<f64>>,
}

fn case() -> Case {
    let layers = [conv("c", 4, 3, "padding = 1"), act("a"), fc("f", 10)];
    let model = random((1, 8, 8), &layers, 5);
    let layout = |blocks: usize, row: usize| {
        format!(
            "{{ order = \"sequential\", phases = 1, row = {row}, col = 1, tile = 64, blocks = {blocks} }}"
        )
    };
    let schedule = "{ block = \"none\", row = false, col = false, double_hoisting = true }";
    let linear = |layer: &str, layout: &str| {
        format!("[[linear]]\nlayer = \"{layer}\"\nlayout = {layout}\nschedule = {schedule}\n")
    };
    let text = format!(
        "network = \"n\"\nvariant = \"v\"\nactivations = \"square\"\n[parameters]\nlog_n = 13\nscale_bits = 45\nprime_bits = 45\n\
         first_bits = 50\nspecial_bits = 50\nspecial = 1\nalpha = 1\nlevels = 3\n\
         [input]\npatches = false\npadded = false\nlayout = {}\n{}{}",
        layout(1, 8),
        linear("c", &layout(4, 8)),
        linear("f", &layout(16, 1)),
    );
    let configuration = Configuration::from_toml(&text).unwrap();
    let ParameterChoice { log_n, .. } = configuration.parameters;
    let literal = ParametersLiteral {
        log_n,
        chain: Primes::Bits { first: 50, scale: vec![45; 3], special: vec![50] },
        log_scale: 45.0,
        digit_limbs: 1,
        allow_insecure: true,
    };
    let params = Parameters::new(&literal).unwrap();
    let folded = Folded::new(&model, ActivationMethod::Square).unwrap();
    let lowered = lower(&folded, &configuration, &Chain::from(&params), true).unwrap();
    let images: Vec<Vec<f64>> = (0..2).map(|seed| image(&model.network, seed)).collect();
    let exact = images.iter().map(|image| model.forward(image).unwrap()).collect();
    Case { model, params, lowered, images, exact }
}

#[test]
fn shown_results_are_as_precise_as_forecast() {
    let Case { model, params, lowered, images, exact } = case();
    let errors = predict_errors(&lowered, &NoiseModel::from(&params), &images, &exact, 1).unwrap();
    // Few bits, so that something is left whatever the results are like.
    let sharing = Sharing { statistical_bits: 10.0, queries: 4 };
    let shared = sharing.share(&errors, Demand::Relative(3.0)).unwrap();
    assert!(shared.precision.relative_bits < shared.before.relative_bits - 8.0, "{shared:?}");

    // Asking for more than is left is refused, with what would do.
    let more = shared.precision.relative_bits + 1.0;
    let error = sharing.share(&errors, Demand::Relative(more)).unwrap_err().to_string();
    assert!(error.contains("10 bits of statistical security and 4 results shown"), "{error}");
    let wanted = format!("--min-precision {:.0}", (shared.before.relative_bits + 1.0).ceil());
    assert!(error.contains(&wanted), "{wanted}: {error}");

    let secret = SecretKey::generate(&params);
    let keys = Arc::new(EvaluationKeys::generate(&secret, &lowered.program.keys()).unwrap());
    let session =
        Session::prepare(&params, keys, lowered.program.clone(), PlaintextForm::Stored).unwrap();
    let encoder = Encoder::new(&params);
    let outputs: Vec<_> = images
        .iter()
        .map(|image| {
            let slots = lowered.encode(image).unwrap();
            let inputs = slots.iter().zip(&lowered.program.values).map(|(slots, info)| {
                let plaintext = encoder.encode(slots, info.level, info.scale, false).unwrap();
                secret.encrypt(&plaintext).unwrap()
            });
            session.run(inputs.collect()).unwrap().outputs
        })
        .collect();
    let size = |image: &[f64]| image.iter().fold(0.0f64, |m, v| v.abs().max(m));
    let (mut measured, mut squares, mut count) = (Vec::new(), 0.0, 0.0);
    for _ in 0..60 {
        for (outputs, exact) in outputs.iter().zip(&exact) {
            let slots = outputs.iter().zip(&lowered.program.outputs).map(|(output, v)| {
                let info = &lowered.program.values[*v];
                let noise = shared.noise(info, params.slots()).unwrap();
                encoder.decode(&secret.decrypt_to_share(output, &noise).unwrap()).unwrap()
            });
            let results = lowered.decode(&slots.collect::<Vec<_>>()).unwrap();
            let shown: Vec<f64> = results.iter().map(|v| shared.rounded(*v)).collect();
            squares += shown.iter().zip(exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            count += exact.len() as f64;
            // Relative to the image whose results are smallest.
            if size(exact) == errors.size {
                measured.push(Precision::of(&shown, exact));
            }
        }
    }
    let quartile = Precision::quantile(&measured, 0.25).unwrap();
    let difference = quartile.relative_bits - shared.precision.relative_bits;
    assert!(difference.abs() < 0.5, "{quartile:?}, {shared:?}");
    // The noise is of the deviation stated: within six standard errors, two percent that it may be more, and rounding.
    let deviation = (squares / count).sqrt() / shared.deviation;
    assert!((deviation - 1.01).abs() < 0.01 + 6.0 / (2.0 * count).sqrt(), "{deviation}");
    assert_eq!(model.network.layers.len(), 3);
}

/// Results that are right to 29 bits leave eight for thirty bits of security, and not for forty.
#[test]
fn thirty_bits_need_precise_results() {
    let Case { params, lowered, images, exact, .. } = case();
    let errors = predict_errors(&lowered, &NoiseModel::from(&params), &images, &exact, 1).unwrap();
    let demand = Demand::Relative(8.0);
    let shared = Sharing::default().share(&errors, demand).unwrap();
    assert!(shared.before.relative_bits > 28.0, "{shared:?}");
    let found = Sharing { statistical_bits: 40.0, ..Sharing::default() }.share(&errors, demand);
    let error = found.unwrap_err().to_string();
    assert!(error.contains("40 bits of statistical security and 1 results shown"), "{error}");
}
