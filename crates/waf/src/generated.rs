//! Attacks that are made from rules: for each rule of the Core Rule Set, texts that its operator matches, disguised as
//! its transformations undo, in each variable that it names. A rule that does not speak of its own attack is a fault of
//! the engine, or is named in [`EXPLAINED`] with the reason.
//!
//! What a rule is expected to do is computed without the engine's run: transformations and operator on the text alone.
//! Where `REEVE_GENERATED` names a file, every exchange is written to it as a line of JSON, with the rules that spoke, so
//! that another engine can be asked about the same.
//!
//! Asked about half of them, libmodsecurity 3.0.9 found no attack of a rule that this engine did not find by the same
//! rule. Other rules that speak of the same exchange there and not here do so for these reasons: it reads `$` as the end
//! of a line (942330, 932240 and others), keeps bodies of every type as REQUEST_BODY (920272, 920273), decodes REQUEST_URI
//! (920460, 920540), drops NUL bytes in `utf8toUnicode` (942120), logs a chain before its last link (942131), and takes
//! any name that begins with `on` for a handler (941100).

mod cost;
mod disguise;
mod place;
mod words;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use base64::Engine as _;

use crate::engine::{Engine, Options};
use crate::memory::Memory;
use crate::operator::Compiled;
use crate::program::Program;
use crate::rule::{Chain, EngineMode, Item, Link, Operator, Phase, Role, RuleBook, Test, Text};
use crate::seclang::{self, Source, SourceError};
use crate::transaction::{Facts, Scratch};
use crate::trial;
use crate::variable::Variable;
use place::{Exchange, Placed};
use words::Dice;

struct Files;

impl Source for Files {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        match name {
            "base" => return Ok(trial::BASE.as_bytes().to_vec()),
            "setup" => return Ok(trial::setup(4).into_bytes()),
            "low" => return Ok(trial::setup(1).into_bytes()),
            _ => {}
        }
        let folder = beside.and_then(|beside| Path::new(beside).parent()).unwrap_or(Path::new(""));
        fs::read(folder.join(name)).map_err(|error| SourceError { name: name.into(), cause: error.to_string() })
    }

    fn list(&self, pattern: &str, _beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.into()])
    }
}

/// The rule set at its highest level, with every rule speaking.
fn book() -> RuleBook {
    let mut book = read("setup");
    for item in &mut book.items {
        if let Item::Chain(chain) = item {
            chain.log = true;
        }
    }
    book
}

fn read(set_up: &str) -> RuleBook {
    let folder = std::env::var_os("REEVE_CRS").map(PathBuf::from).expect("REEVE_CRS names the folder");
    let rules = folder.join("rules");
    let mut names: Vec<_> = fs::read_dir(&rules).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    names.sort();
    let mut order = vec![String::from("base"), rules.join("crs-setup.conf.example").display().to_string()];
    order.push(String::from(set_up));
    order.extend(names.iter().map(|path| path.display().to_string()));
    let order: Vec<_> = order.iter().map(String::as_str).collect();
    seclang::read(&order, &Files).unwrap()
}

/// At a level of paranoia; at the highest every rule speaks.
fn engine(paranoia: u8) -> Engine {
    let options = Options { mode: Some(EngineMode::DetectionOnly), ..Options::default() };
    let book = if paranoia == 4 { book() } else { read("low") };
    Engine { program: Program::new(book).unwrap(), options, memory: Memory::default(), id: u64::from(paranoia) }
}

/// The rules that speak of an exchange.
fn spoken(engine: &Engine, exchange: &Exchange, scratch: &mut Scratch) -> (Vec<u32>, u64) {
    let facts = Facts {
        remote_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
        remote_port: 40_000,
        server_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        server_port: 80,
        unique_id: "made",
        seconds: 1_750_000_000,
    };
    let fields = |fields: &place::Fields| -> Vec<(Vec<u8>, Vec<u8>)> { fields.clone() };
    let (asked, answered) = (fields(&exchange.headers), fields(&exchange.answer_headers));
    let asked: Vec<_> = asked.iter().map(|(name, value)| (&**name, &**value)).collect();
    let answered: Vec<_> = answered.iter().map(|(name, value)| (&**name, &**value)).collect();
    let (line, target) = (exchange.line(), exchange.target());
    let mut transaction = engine.begin(&facts, std::mem::take(scratch));
    transaction.request_head(&exchange.head(&line, &target, &asked));
    transaction.request_body(exchange.body.as_deref().unwrap_or_default());
    transaction.response_head(&exchange.answer(&answered));
    let wanted = transaction.wants_response_body().is_some();
    transaction.response_body(if wanted { &exchange.answer_body } else { b"" });
    let work = transaction.work_bytes();
    let (report, kept) = transaction.end();
    *scratch = kept;
    (report.matches.iter().map(|found| found.rule).collect(), work)
}

/// Texts that an operator matches, or with `!` does not, before any transformation.
fn matched_by(operator: &Operator, negated: bool, dice: &mut Dice) -> Vec<Vec<u8>> {
    let plain = |text: &Text| text.as_plain().map(<[u8]>::to_vec);
    if negated {
        let others = ["", "x", "zz top", "a\u{1}b", "%", "0", "-1", "999999", "a/b;c", "GET", "HTTP/9.9", "é"];
        return others.iter().map(|text| text.as_bytes().to_vec()).collect();
    }
    let one = match operator {
        Operator::Rx(text) => return plain(text).map(|pattern| words::of(&pattern, TEXTS, dice)).unwrap_or_default(),
        Operator::Phrases(phrases) => {
            let mut found: Vec<Vec<u8>> = (0..TEXTS).map(|_| phrases[dice.below(phrases.len())].to_vec()).collect();
            found.push([b"a ", &*found[0].to_ascii_uppercase(), b" b"].concat());
            return found;
        }
        Operator::DetectSqli => {
            return ["1' or '1'='1' --", "1 union select 1,2,3 from users--", "x'; drop table a; --"]
                .map(|text| text.as_bytes().to_vec())
                .to_vec();
        }
        Operator::DetectXss => {
            return ["<script>alert(1)</script>", "\" onload=alert(1) a=\"", "<a href=javascript:alert(1)>"]
                .map(|text| text.as_bytes().to_vec())
                .to_vec();
        }
        Operator::ValidateByteRange(allowed) => {
            let outside: Vec<u8> = allowed.complement().iter().collect();
            return (0..TEXTS).map(|_| vec![b'a', outside[dice.below(outside.len())], b'b']).collect();
        }
        Operator::ValidateUrlEncoding => Some(b"a%zz".to_vec()),
        Operator::ValidateUtf8Encoding => Some(b"a\xffb\xc0\xaf".to_vec()),
        Operator::Is(text) | Operator::BeginsWith(text) | Operator::EndsWith(text) | Operator::Contains(text) => {
            plain(text)
        }
        Operator::Within(text) => plain(text).map(|text| text.split(|byte| *byte == b' ').next().unwrap().to_vec()),
        Operator::Equal(text) | Operator::GreaterOrEqual(text) | Operator::LessOrEqual(text) => plain(text),
        Operator::Greater(_) => Some(b"99999999".to_vec()),
        Operator::Less(_) => Some(b"-1".to_vec()),
        Operator::Always => Some(b"anything".to_vec()),
        _ => None,
    };
    one.into_iter().collect()
}

/// An operator, made once.
fn compiled(operator: &Operator) -> Rc<Compiled> {
    thread_local!(static MADE: RefCell<HashMap<String, Rc<Compiled>>> = RefCell::default());
    MADE.with_borrow_mut(|made| {
        let known = made.entry(format!("{operator:?}"));
        Rc::clone(known.or_insert_with(|| Rc::new(Compiled::new(operator).unwrap())))
    })
}

/// Whether a link matches a text, computed plainly; none where its argument is known only while rules run.
fn matches(test: &Test, text: &[u8]) -> Option<bool> {
    let compiled = compiled(&test.operator);
    let Compiled::Fixed(operator) = &*compiled else { return None };
    let mut forms = vec![text.to_vec()];
    for how in &test.transformations {
        let (value, mut out) = (forms.last().unwrap(), Vec::new());
        let next = if how.apply(value, &mut out) { out } else { value.clone() };
        forms.push(next);
    }
    let tested = if test.multi_match { &forms[..] } else { &forms[forms.len() - 1..] };
    Some(tested.iter().any(|form| operator.matches(form) != test.negated))
}

/// Whether a link looks at what the links before it have found.
fn of_found(link: &Link) -> bool {
    let found = [Variable::MatchedVar, Variable::MatchedVars];
    link.test.iter().flat_map(|test| &test.targets).any(|target| found.contains(&target.variable))
}

/// One attack, and whether the rule must speak of it.
struct Attack {
    how: String,
    exchange: Exchange,
    certain: bool,
}

/// The attacks that a chain describes.
fn attacks(chain: &Chain, dice: &mut Dice) -> Vec<Attack> {
    let Some(test) = chain.links.first().and_then(|link| link.test.as_ref()) else { return Vec::new() };
    let mut made = Vec::new();
    let members = || test.targets.iter().filter(|target| target.role == Role::Member);
    let mut texts = matched_by(&test.operator, test.negated, dice);
    // Later links may ask more of the same text.
    for link in chain.links.iter().skip(1).filter(|link| of_found(link)) {
        let Some(also) = &link.test else { continue };
        let more = matched_by(&also.operator, also.negated, dice);
        let both = texts.iter().flat_map(|one| {
            more.iter().take(3).flat_map(move |other| {
                [[&**one, b" ", other].concat(), [other, &b" "[..], one].concat(), other.clone()]
            })
        });
        texts = texts.iter().cloned().chain(both.collect::<Vec<_>>()).collect();
    }
    for text in texts {
        for form in disguise::all(&text, &test.transformations) {
            for target in members() {
                for placed in place::all(target, &form, &Exchange::default(), dice) {
                    if matches(test, &placed.seen) == Some(false) {
                        continue;
                    }
                    made.extend(completed(chain, test, placed, dice));
                }
            }
        }
    }
    made
}

/// The attack with what later links of the chain look at elsewhere.
fn completed(chain: &Chain, test: &Test, placed: Placed, dice: &mut Dice) -> Option<Attack> {
    let Placed { how, mut exchange, seen } = placed;
    let mut certain = matches(test, &seen) == Some(true);
    for link in chain.links.iter().skip(1) {
        let Some(next) = &link.test else { continue };
        if of_found(link) {
            certain &= matches(next, &seen) == Some(true);
            continue;
        }
        certain = false;
        let target = next.targets.iter().find(|target| target.role == Role::Member)?;
        let text = matched_by(&next.operator, next.negated, dice).into_iter().next().unwrap_or_default();
        if let Some(with) = place::all(target, &text, &exchange, dice).into_iter().next() {
            exchange = with.exchange;
        }
    }
    certain &= !test.targets.iter().any(|target| target.role == Role::Except);
    Some(Attack { how: how.to_owned(), exchange, certain })
}

fn line(rule: u32, attack: &Attack, ids: &[u32]) -> String {
    let text = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let fields = |fields: &place::Fields| -> Vec<[String; 2]> {
        fields.iter().map(|(name, value)| [text(name), text(value)]).collect()
    };
    let exchange = &attack.exchange;
    serde_json::json!({
        "rule": rule, "how": attack.how, "certain": attack.certain, "ids": ids,
        "method": text(&exchange.method), "target": text(&exchange.target()), "protocol": text(&exchange.protocol),
        "headers": fields(&exchange.headers), "body": exchange.body.as_deref().map(text), "status": exchange.status,
        "answer_headers": fields(&exchange.answer_headers), "answer": text(&exchange.answer_body),
    })
    .to_string()
}

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS"]
fn rules_speak_of_their_own_attacks() {
    let (engine, described) = (engine(4), book());
    let mut told =
        std::env::var_os("REEVE_GENERATED").map(|path| std::io::BufWriter::new(fs::File::create(path).unwrap()));
    let mut scratch = Scratch::default();
    let (mut count, mut rules) = (0, 0);
    let mut missed: BTreeMap<(u32, String), (usize, usize)> = BTreeMap::new();
    let (mut silent, mut unplaced) = (BTreeSet::new(), BTreeSet::new());
    for item in &described.items {
        let Item::Chain(chain) = item else { continue };
        if chain.phase == Phase::Logging || chain.links.first().is_none_or(|link| link.test.is_none()) {
            continue;
        }
        rules += 1;
        let attacks = attacks(chain, &mut Dice::new(u64::from(chain.id)));
        let (mut spoke, mut made) = (false, 0);
        for attack in attacks.iter().step_by(attacks.len().div_ceil(ATTACKS_MAX).max(1)) {
            made += 1;
            let (ids, _) = spoken(&engine, &attack.exchange, &mut scratch);
            let found = ids.contains(&chain.id);
            spoke |= found;
            if attack.certain && !found {
                let entry = missed.entry((chain.id, attack.how.clone())).or_default();
                entry.0 += 1;
            }
            if attack.certain {
                missed.entry((chain.id, attack.how.clone())).or_default().1 += 1;
            }
            if let Some(told) = &mut told {
                writeln!(told, "{}", line(chain.id, attack, &ids)).unwrap();
            }
        }
        count += made;
        if made == 0 {
            unplaced.insert(chain.id);
        } else if !spoke {
            silent.insert(chain.id);
        }
    }
    missed.retain(|_, (missed, _)| *missed > 0);
    println!("{count} attacks for {rules} rules");
    println!("no attack made: {unplaced:?}");
    println!("silent at all of theirs: {silent:?}");
    for ((rule, how), (missed, of)) in &missed {
        println!("{rule} {how}: {missed} of {of}");
    }
    let known = |rule: u32, how: &str| {
        EXPLAINED.iter().any(|(id, way, _)| (*id == rule || *id == 0) && (*way == how || way.is_empty()))
    };
    let faults: Vec<_> = missed.keys().filter(|(rule, how)| !known(*rule, how)).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

/// Texts for each rule.
const TEXTS: usize = 8;
/// Of one rule; each takes a tenth of a millisecond.
const ATTACKS_MAX: usize = 150;

/// Rules (0: any) that are silent at attacks brought in this way (none: any), and why that is right.
const EXPLAINED: &[(u32, &str, &str)] = &[
    (920540, "json", "its first condition is that the body is no JSON"),
    (920540, "json name", "its first condition is that the body is no JSON"),
    (
        934100,
        "multipart name",
        "the longest disguises are lines of a part's head beyond the 4 KiB that such a line may have: 200002 speaks",
    ),
    (941180, "path", "941010 takes paths of plain characters out of it"),
    (941180, "path raw", "941010 takes paths of plain characters out of it"),
];

/// Rules whose chains ask for more than is made here, and which no regression test stands for.
fn by_hand() -> Vec<(u32, Exchange)> {
    let asked = |query: &str| Exchange { query: Some(query.as_bytes().to_vec()), ..Exchange::default() };
    let sent = |kind: &str, body: &str| {
        let mut exchange =
            Exchange { method: b"POST".to_vec(), body: Some(body.as_bytes().to_vec()), ..Exchange::default() };
        exchange.set(b"Content-Type", kind.as_bytes());
        exchange
    };
    let parts = "multipart/form-data; boundary=edge";
    let part = "--edge\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    let broken =
        Exchange { status: 500, answer_body: b"Server Error in '/' Application".to_vec(), ..Exchange::default() };
    vec![
        (942130, asked("q=%27a%27=%27a%27")),
        (942521, asked("q=x%27%20or%201")),
        (943120, asked("jsessionid=1")),
        (200002, sent("application/json", "{\"a\": ")),
        (200003, sent(parts, part)),
        (200004, sent(parts, &format!("{part}x --edge\r\n--edge--\r\n"))),
        (922140, sent(parts, &format!("{part}--edge--\r\n"))),
        (954130, broken),
    ]
}

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS"]
fn chains_speak_of_attacks_made_by_hand() {
    let (engine, mut scratch) = (engine(4), Scratch::default());
    for (rule, exchange) in by_hand() {
        assert!(spoken(&engine, &exchange, &mut scratch).0.contains(&rule), "{rule}");
    }
}
