//! Many images at a time.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Tiny, bytes};
use runtime::Error;
use runtime::client::Client;
use runtime::server::Server;
use simulator::program::PlaintextForm;

const FORMS: [PlaintextForm; 2] = [PlaintextForm::Stored, PlaintextForm::ON_DEMAND];

/// A client, and a server for it.
fn parties(tiny: &Tiny, form: PlaintextForm) -> (Client, Server) {
    let client = Client::generate(tiny.spec.clone()).unwrap();
    let keys = Arc::new(client.evaluation_keys().unwrap());
    (client, Server::new(tiny.compiled.clone(), keys, form).unwrap())
}

/// Messages of so many images each, in one stream.
fn stream(client: &Client, messages: &[usize]) -> Vec<u8> {
    let mut next = 0;
    bytes(|out| {
        messages.iter().try_for_each(|&count| {
            let first = next;
            next += count;
            client.write_images(
                &mut *out,
                (first..next).map(Tiny::image).collect::<Vec<_>>().into_iter(),
            )
        })
    })
}

/// A server is deterministic: what comes out is the same to the last bit, in the same order, whatever the number of images
/// at a time and wherever messages begin and end.
#[test]
fn batches_answer_as_one_image_at_a_time_does() {
    let cases = FORMS.map(|form| [1, 2].map(|images| (form, images)));
    for (form, images) in cases.into_iter().flatten() {
        let tiny = Tiny::of_images(3, 3, images);
        let (client, server) = parties(&tiny, form);
        for messages in [&[5][..], &[1, 1, 1], &[0, 2, 0, 0, 3, 0], &[0], &[]] {
            let stream = stream(&client, messages);
            let mut expected = Vec::new();
            server.answer(&stream[..], &mut expected, |_, _| Ok::<_, Error>(())).unwrap();
            for at_once in [0, 1, 2, 3, 7] {
                let (mut found, mut images) = (Vec::new(), 0);
                let finished = |_: &_, count| {
                    images += count;
                    Ok::<_, Error>(())
                };
                server.answer_batch(&stream[..], &mut found, at_once, finished).unwrap();
                assert_eq!(images, messages.iter().sum::<usize>());
                assert!(found == expected, "{messages:?}, {at_once} at a time");
            }
        }
    }
}

/// What was computed before a fault is written; the fault is told.
#[test]
fn faults_in_a_stream_are_told_after_what_came_before() {
    let tiny = Tiny::new(3, 3);
    let (client, server) = parties(&tiny, PlaintextForm::Stored);
    let whole = stream(&client, &[1, 1, 1, 1]);
    let cut = &whole[..whole.len() - 10];
    let mut answers = Vec::new();
    let error = server.answer_batch(cut, &mut answers, 2, |_, _| Ok::<_, Error>(())).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    let mut count = 0;
    client.read_results(&answers[..], |_| count += 1).unwrap();
    assert_eq!(count, 2);
    // Who is told of images can stop.
    let mut left = 3;
    let stop = |_: &_, _| {
        left -= 1;
        if left > 0 { Ok(()) } else { Err(Error::argument("images", 3, "2")) }
    };
    server.answer_batch(&whole[..], Vec::new(), 2, stop).unwrap_err();
    assert_eq!(left, 0);
}

#[test]
fn every_image_at_a_time_has_its_own_memory() {
    let tiny = Tiny::new(3, 3);
    for form in FORMS {
        let bytes = |at_once| tiny.compiled.batch_bytes(form, at_once);
        let memory = tiny.compiled.memory(form);
        assert_eq!([bytes(0), bytes(1)], [memory.total_bytes(); 2]);
        let each = bytes(2) - bytes(1);
        assert!(each >= memory.ciphertexts_bytes + memory.scratch_bytes);
        assert_eq!(bytes(5) - bytes(2), 3 * each);
        assert_eq!(bytes(usize::MAX), u64::MAX);
    }
}
