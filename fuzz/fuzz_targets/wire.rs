#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (sealed_visit_fuzz_targets::target("wire").run)(input);
});
