//! Buffers go from one engine to the next when rules are exchanged under load.

use reeve_waf::{Engine, Facts, Options, RequestHead, Scratch, Source, SourceError};

struct Text<'t>(&'t str);

impl Source for Text<'_> {
    fn read(&self, _: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        Ok(self.0.into())
    }

    fn list(&self, name: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![name.into()])
    }
}

fn refused(engine: &Engine, target: &[u8], scratch: Scratch) -> (bool, Scratch) {
    let facts = Facts {
        remote_address: [192, 0, 2, 7].into(),
        remote_port: 40_000,
        server_address: [192, 0, 2, 1].into(),
        server_port: 443,
        unique_id: "1",
        seconds: 0,
    };
    let mut transaction = engine.begin(&facts, scratch);
    let head = RequestHead { line: target, method: b"GET", target, protocol: b"HTTP/1.1", headers: &[] };
    let refused = transaction.request_head(&head).is_some();
    (refused, transaction.end().1)
}

#[test]
fn what_one_engine_has_learned_of_values_is_nothing_to_another() {
    let load = |rules: &str| Engine::load(&["rules"], &Text(rules), Options::default()).unwrap();
    let before = load("SecRuleEngine On\nSecRule ARGS \"@rx !{9}\" \"id:1,phase:1,deny\"");
    let after = load("SecRuleEngine On\nSecRule ARGS \"@rx ^.{3}$\" \"id:1,phase:1,deny\"");
    let (first, scratch) = refused(&before, b"/?q=abc", Scratch::default());
    let (second, _) = refused(&after, b"/?q=abc", scratch);
    assert!(!first && second);
}
