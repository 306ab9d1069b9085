use serde_json::json;

use super::*;

/// Rules as `nft -j` prints them, in one chain of the family `inet`.
fn rules(policy: &str, expressions: &[Value]) -> Vec<Value> {
    let mut all = vec![
        json!({ "metainfo": { "version": "1.0.6" } }),
        json!({ "table": { "family": "inet", "name": "f", "handle": 1 } }),
        json!({ "set": { "family": "inet", "name": "web", "table": "f", "type": "inet_service", "elem": [80, 443] } }),
        json!({ "chain": { "family": "inet", "table": "f", "name": "more", "handle": 1 } }),
        json!({ "chain": { "family": "inet", "table": "f", "name": "in", "type": "filter", "hook": "input", "policy": policy } }),
    ];
    let rule = |(index, expression): (usize, &Value)| json!({ "rule": { "family": "inet", "table": "f", "chain": "in", "handle": index, "expr": expression } });
    all.extend(expressions.iter().enumerate().map(rule));
    all.push(json!({ "rule": { "family": "inet", "table": "f", "chain": "more", "handle": 99, "expr": [dport(json!(5432)), { "accept": null }] } }));
    all
}

fn dport(right: Value) -> Value {
    json!({ "match": { "op": "==", "left": { "payload": { "protocol": "tcp", "field": "dport" } }, "right": right } })
}

#[track_caller]
fn check(policy: &str, expressions: &[Value], expected: Result<(), &str>) {
    let rules = rules(policy, expressions);
    let judged = Ruleset::read(&rules).judge("ip6", &[22, 80, 443].into());
    match expected {
        Ok(()) => assert!(judged.is_ok(), "{judged:?}"),
        Err(fragment) => assert!(judged.clone().is_err_and(|fault| fault.contains(fragment)), "{judged:?}"),
    }
}

#[test]
fn what_admits_only_what_is_promised_is_kept() {
    let state = |right: Value| json!([{ "match": { "op": "in", "left": { "ct": { "key": "state" } }, "right": right } }, { "accept": null }]);
    let ordinary = [
        json!([{ "match": { "op": "==", "left": { "meta": { "key": "iif" } }, "right": "lo" } }, { "accept": null }]),
        state(json!(["established", "related"])),
        state(json!({ "set": ["established", "related"] })),
        json!([{ "match": { "op": "==", "left": { "payload": { "protocol": "icmp", "field": "type" } }, "right": "echo-request" } }, { "accept": null }]),
        json!([dport(json!(22)), { "counter": { "packets": 3, "bytes": 180 } }, { "accept": null }]),
        json!([dport(json!({ "set": [80, 443] })), { "accept": null }]),
        json!([dport(json!("@web")), { "accept": null }]),
        json!([dport(json!(5432)), { "drop": null }]),
        json!([{ "vmap": { "key": { "ct": { "key": "state" } }, "data": { "set": [["established", { "accept": null }], ["invalid", { "drop": null }]] } } }]),
    ];
    check("drop", &ordinary, Ok(()));
    check("accept", &ordinary, Err("no chain on input drops"));
    let refused: Vec<Value> = ordinary.into_iter().chain([json!([{ "reject": { "type": "icmpx" } }])]).collect();
    check("accept", &refused, Ok(()));
    check("drop", &[], Ok(()));
}

#[test]
fn what_admits_more_is_found() {
    let admits = "what is not promised";
    check("drop", &[json!([{ "accept": null }])], Err(admits));
    check("drop", &[json!([dport(json!(5432)), { "accept": null }])], Err(admits));
    check("drop", &[json!([dport(json!({ "set": [80, 5432] })), { "accept": null }])], Err(admits));
    check("drop", &[json!([dport(json!({ "range": [79, 81] })), { "accept": null }])], Err(admits));
    check("drop", &[json!([{ "jump": { "target": "more" } }])], Err(admits));
    let new = json!({ "match": { "op": "in", "left": { "ct": { "key": "state" } }, "right": ["established", "new"] } });
    check("drop", &[json!([new, { "accept": null }])], Err(admits));
    let not =
        json!({ "match": { "op": "!=", "left": { "payload": { "protocol": "tcp", "field": "dport" } }, "right": 80 } });
    check("drop", &[json!([not, { "accept": null }])], Err(admits));
    let map = json!({ "key": { "payload": { "protocol": "tcp", "field": "dport" } }, "data": { "set": [[80, { "accept": null }], [25, { "accept": null }]] } });
    check("drop", &[json!([{ "vmap": map }])], Err("verdict map"));
    let here = json!({ "match": { "op": "==", "left": { "payload": { "protocol": "ip", "field": "saddr" } }, "right": "10.0.0.1" } });
    check("drop", &[json!([here, { "accept": null }])], Err(admits));
}

#[test]
fn the_digest_is_of_what_stays() {
    let base = |port: u16, packets: u64, handle: u64| {
        let expression = json!([dport(json!({ "set": [port, 22] })), { "counter": { "packets": packets, "bytes": packets } }, { "accept": null }]);
        let mut all = rules("drop", &[expression]);
        all.push(json!({ "table": { "family": "inet", "name": "reeve", "handle": handle } }));
        all.push(json!({ "set": { "family": "inet", "table": "reeve", "name": "one4", "elem": [handle] } }));
        all
    };
    assert_eq!(digest(&base(80, 1, 1)), digest(&base(80, 9, 7)));
    assert_ne!(digest(&base(80, 1, 1)), digest(&base(81, 1, 1)));
}
