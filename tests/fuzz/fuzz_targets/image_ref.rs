//! The target `image_ref` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("image_ref").expect("it is listed")(input)
);
