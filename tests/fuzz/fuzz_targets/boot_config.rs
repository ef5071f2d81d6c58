//! The target `boot_config` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("boot_config").expect("it is listed")(input)
);
