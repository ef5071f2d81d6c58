//! The target `pxe_options` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("pxe_options").expect("it is listed")(input)
);
