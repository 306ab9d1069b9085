//! The reader of OpenAPI documents: no text panics it or makes it run away, and a refusal says where.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_contract::Contract;

fuzz_target!(|bytes: &[u8]| {
    match Contract::compile(bytes, None) {
        Ok(contract) => assert!(contract.operations() > 0),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
