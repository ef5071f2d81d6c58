//! The target `dhcp_client` of `lab::fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |input: &[u8]| lab::fuzz::target("dhcp_client").expect("it is listed")(input)
);
