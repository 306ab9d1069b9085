//! Rules that somebody wrote, or did not: they load, or every fault is named.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_waf::{Engine, Options, Source, SourceError};

struct Text<'t>(&'t [u8]);

impl Source for Text<'_> {
    fn read(&self, name: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        match name {
            "rules" => Ok(self.0.to_vec()),
            _ => Err(SourceError { name: name.into(), cause: String::from("there is one file") }),
        }
    }

    fn list(&self, name: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![name.into()])
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Err(faults) = Engine::load(&["rules"], &Text(bytes), Options::default()) {
        assert!(!faults.is_empty(), "refused without a reason");
    }
});
