//! What the rules cost at worst: each pattern on texts that are built against it, and whole requests that are built
//! against all of them. Measured, printed, and held to a bound that only a change of kind would break.

use regex_syntax::hir::{Hir, HirKind};

use super::words::{self, Dice};
use super::{book, engine, place::Exchange, spoken};
use crate::engine::Engine;
use crate::operator::{Compiled, Fixed};
use crate::pattern;
use crate::rule::{Item, Operator};
use crate::transaction::Scratch;

/// Texts of this length, as an attacker would repeat what a pattern repeats: each part that may stand many times, behind
/// what comes before it, many times.
fn against(secrule: &[u8], length: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    repeated(&words::parsed(secrule), &mut parts);
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let whole = words::of(secrule, 2, dice);
    for part in parts.iter().take(PARTS_MAX) {
        let mut text = Vec::new();
        words::write(part, dice, &mut text);
        if !text.is_empty() {
            texts.push(text.iter().copied().cycle().take(length).collect());
        }
    }
    for text in whole {
        let cut = &text[..text.len().saturating_sub(1)];
        if !cut.is_empty() {
            texts.push(cut.iter().copied().cycle().take(length).collect());
        }
    }
    for plain in
        ["a", " ", "\"'`", "<a ", "((", "a.b/", "%24", "\\x41", "or 1=1 ", "=", "\u{1}\u{80}", "x'y\"z`;|&$(){}[]"]
    {
        texts.push(plain.bytes().cycle().take(length).collect());
    }
    texts
}

fn repeated(hir: &Hir, out: &mut Vec<Hir>) {
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            out.push((*repetition.sub).clone());
            repeated(&repetition.sub, out);
        }
        HirKind::Capture(capture) => repeated(&capture.sub, out),
        HirKind::Concat(parts) => {
            out.push(hir.clone());
            parts.iter().for_each(|part| repeated(part, out));
        }
        HirKind::Alternation(parts) => parts.iter().for_each(|part| repeated(part, out)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

/// Processor time of this thread: on a machine with other work the clock says little. Linux has it in the first word.
fn nanoseconds(run: impl FnOnce()) -> u64 {
    let used = || -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let before = used();
    run();
    used() - before
}

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS, and measures: run it alone, in release"]
fn what_the_slowest_patterns_cost() {
    const LENGTH: usize = 64 << 10;
    let mut costs = Vec::new();
    for item in &book().items {
        let Item::Chain(chain) = item else { continue };
        for test in chain.links.iter().filter_map(|link| link.test.as_ref()) {
            let Operator::Rx(text) = &test.operator else { continue };
            let Some(secrule) = text.as_plain() else { continue };
            let compiled = pattern::compile(secrule).unwrap();
            let texts = against(secrule, LENGTH, &mut Dice::new(u64::from(chain.id)));
            let worst = texts
                .iter()
                .map(|text| {
                    nanoseconds(|| {
                        std::hint::black_box(compiled.is_match(text));
                    })
                })
                .max();
            costs.push((worst.unwrap_or(0), chain.id, texts.len()));
        }
    }
    costs.sort_unstable();
    let sum: u64 = costs.iter().map(|(cost, ..)| cost).sum();
    println!("{} patterns on 64 KiB each, its worst text each: {} ms together", costs.len(), sum / 1_000_000);
    for (cost, id, texts) in costs.iter().rev().take(12) {
        println!("{id}: {} us, {} ns for each byte, of {texts} texts", cost / 1_000, cost / LENGTH as u64);
    }
    for operator in [Operator::DetectSqli, Operator::DetectXss] {
        let Compiled::Fixed(compiled) = Compiled::new(&operator).unwrap() else { unreachable!() };
        let texts = against(b"(?:[a-z]+ |'|\\(|/\\*|--|<[a-z]|=|\")+", LENGTH, &mut Dice::new(1));
        let cost = texts
            .iter()
            .map(|text| {
                nanoseconds(|| {
                    std::hint::black_box(Fixed::matches(&compiled, text));
                })
            })
            .max()
            .unwrap();
        println!("{operator:?}: {} us, {} ns for each byte", cost / 1_000, cost / LENGTH as u64);
    }
}

/// Requests as large as may be, built against what takes long.
fn hostile() -> Vec<(&'static str, Exchange)> {
    let sent = |kind: &str, body: Vec<u8>| {
        let mut exchange = Exchange { method: b"POST".to_vec(), ..Exchange::default() };
        exchange.set(b"Content-Type", kind.as_bytes());
        exchange.set(b"Content-Length", body.len().to_string().as_bytes());
        exchange.body = Some(body);
        exchange
    };
    let form = "application/x-www-form-urlencoded";
    let cycled = |text: &str, length: usize| -> Vec<u8> { text.bytes().cycle().take(length).collect() };
    let mixed = "<a \"'`or 1=1 union select /*%24{}*/ \\x41;|$(cat)&#x41;%2541+%u0041..//./ É ";
    let arguments = |count: usize| (0..count).map(|at| format!("a{at}=v{at}'\"<%24&")).collect::<String>().into_bytes();
    let json = format!("{}{}", "{\"a\":[".repeat(500), "]}".repeat(500));
    let list: String = (0..9_000).map(|at| format!("\"'{at} or {at}=<{at}>$({at})\",")).collect();
    let part = |at: usize| {
        format!(
            "--e\r\nContent-Disposition: form-data; name=\"f{at}\"; filename=\"a{at}.php\"\r\nContent-Type: text/html\r\n\r\n<?php\r\n"
        )
    };
    let parts: String = (0..1_000).map(part).collect();
    let xml: String = (0..20_000).map(|at| format!("<a b='x{at}\\' or 1'>{at}</a>")).collect();
    let mut heads = Exchange::default();
    for at in 0..100 {
        heads
            .headers
            .push((format!("X-{at}").into_bytes(), format!("{at} {}", "' or 1=1; $(x) <a ").repeat(8).into_bytes()));
    }
    heads.set(b"Cookie", (0..400).map(|at| format!("c{at}=v'{at}\" or <; ")).collect::<String>().as_bytes());
    heads.query = Some(cycled("a=%2527%3Cx&b=1%20or%202&", 16 << 10));
    vec![
        ("64 KiB JSON, 1,500 usual values", sent("application/json", format!("[{}1]", (0..1_500).map(|at| format!("{{\"name\":\"Item {at}\",\"price\":{at}.50}},")).collect::<String>()).into_bytes())),
        ("1 MiB of plain text as a form field", sent(form, [b"text=".to_vec(), cycled("The quick brown fox jumps over the lazy dog. It was, she said, well done; and then%0A", 1 << 20)].concat())),
        ("1 MiB of plain text", sent("text/plain", cycled("The quick brown fox jumps over the lazy dog. It was, she said, well done; and then\n", 1 << 20))),
        ("1 MiB upload", sent("multipart/form-data; boundary=e", [b"--e\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n".to_vec(), cycled("Some text of a file.\r\n", 1 << 20), b"\r\n--e--\r\n".to_vec()].concat())),
        ("100,000 arguments", sent(form, arguments(100_000))),
        ("9,900 arguments", sent(form, arguments(9_900))),
        ("JSON 1,000 deep", sent("application/json", json.into_bytes())),
        ("JSON, 9,000 hostile values", sent("application/json", format!("[{list}1]").into_bytes())),
        ("64 KiB hostile value", sent(form, [b"a=".to_vec(), cycled(mixed, 64 << 10)].concat())),
        ("1 MiB hostile value", sent(form, [b"a=".to_vec(), cycled(mixed, 1 << 20)].concat())),
        ("1 MiB hostile text", sent("text/plain", cycled(mixed, 1 << 20))),
        ("1 MiB of quotes in JSON", sent("application/json", format!("[\"{}\"]", "'`(<a ".repeat(170_000)).into_bytes())),
        ("multipart, 1,000 files", sent("multipart/form-data; boundary=e", format!("{parts}--e--\r\n").into_bytes())),
        ("XML, 20,000 elements", sent("text/xml", format!("<r>{xml}</r>").into_bytes())),
        ("heads", heads),
    ]
}

fn measured(name: &str, engine: &Engine, exchange: &Exchange, scratch: &mut Scratch) {
    let mut seen = (0, 0);
    let cost = nanoseconds(|| {
        let (ids, work) = spoken(engine, exchange, scratch);
        seen = (ids.len(), work);
    });
    let body = exchange.body.as_ref().map_or(0, Vec::len);
    let (rules, work) = seen;
    let over = if work > engine.options.budget_bytes { ", refused" } else { "" };
    println!("{name}: {body} bytes, {} us, {} KiB looked at, {rules} rules{over}", cost / 1_000, work >> 10);
}

/// The texts that each pattern takes longest for, through all rules.
#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS, and measures: run it alone, in release"]
fn what_texts_against_single_patterns_cost_with_all_rules() {
    for (paranoia, length) in [(1, 64 << 10), (4, 64 << 10)] {
        let engine = engine(paranoia);
        let mut costs = Vec::new();
        for item in &book().items {
            let Item::Chain(chain) = item else { continue };
            let Some(Operator::Rx(text)) = chain.links[0].test.as_ref().map(|test| &test.operator) else { continue };
            let Some(secrule) = text.as_plain() else { continue };
            let compiled = pattern::compile(secrule).unwrap();
            let texts = against(secrule, length, &mut Dice::new(u64::from(chain.id)));
            let Some(worst) = texts.into_iter().max_by_key(|text| {
                nanoseconds(|| {
                    std::hint::black_box(compiled.is_match(text));
                })
            }) else {
                continue;
            };
            let mut exchange = Exchange { method: b"POST".to_vec(), ..Exchange::default() };
            exchange.set(b"Content-Type", b"application/x-www-form-urlencoded");
            exchange.body = Some([b"a=", &*super::place::percent(&worst)].concat());
            let mut work = 0;
            let cost = nanoseconds(|| work = spoken(&engine, &exchange, &mut Scratch::default()).1);
            costs.push((cost, chain.id, work));
        }
        costs.sort_unstable();
        println!("at level {paranoia}, a form field of {length} bytes, percent-encoded");
        for (cost, id, work) in costs.iter().rev().take(8) {
            println!(
                "against {id}: {} us, {} KiB looked at, {} ns for each byte of them",
                cost / 1_000,
                work >> 10,
                cost / work
            );
        }
    }
}

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS, and measures: run it alone, in release"]
fn what_hostile_requests_cost() {
    for paranoia in [1, 4] {
        let engine = engine(paranoia);
        println!("at level {paranoia}");
        for (name, exchange) in hostile() {
            measured(name, &engine, &exchange, &mut Scratch::default());
        }
    }
}

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS, and measures: run it alone, in release"]
fn what_a_usual_request_costs() {
    let (engine, mut scratch) = (engine(1), Scratch::default());
    let mut exchange =
        Exchange { query: Some(b"page=2&sort=name&q=green+shoes&lang=en".to_vec()), ..Exchange::default() };
    exchange.set(b"Cookie", b"session=4f6a8c0b2d; theme=dark; seen=1");
    let cost = nanoseconds(|| (0..USUAL).for_each(|_| assert!(spoken(&engine, &exchange, &mut scratch).0.is_empty())));
    println!("{} ns for each of {USUAL}", cost / USUAL);
}

const PARTS_MAX: usize = 24;
const USUAL: u64 = 5_000;
