//! The target `boot_record` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("boot_record").expect("it is listed")(input)
);
