//! Values made to be slow, or to lead a reader astray.

use std::hint::black_box;
use std::time::Duration;

use crate::injection::{script, sql};

/// Parts that are slow to a reader who looks back, or ahead, or at everything again.
const PARTS: &[&str] = &[
    "'",
    "\"",
    "`",
    "''",
    "\\'",
    "\\",
    "(",
    ")",
    "((",
    "()",
    "<",
    "</",
    "<a",
    "<a ",
    "<!",
    "<!-",
    "<!--",
    "-",
    "--",
    "-!",
    "/*",
    "/**/",
    "/*/",
    "*/",
    "#",
    "#\n",
    "--x\n",
    "-- \n",
    "$",
    "$$",
    "$a",
    "$a$",
    "$a$b",
    "@",
    "@@",
    "@`",
    "@'",
    "[",
    "]",
    "{",
    "{`",
    "}",
    ";",
    ",",
    "1,",
    "1+",
    "1 ",
    ".",
    "1.",
    "a.",
    "like.",
    "null.",
    "int.",
    "select.",
    "like`",
    "a ",
    "in ",
    "not ",
    "like ",
    "like(",
    "union ",
    "union select ",
    "group by ",
    "or 1 ",
    "x'0",
    "b'0",
    "q'(",
    "n'",
    "u&'",
    "0x",
    "0b1",
    "1e",
    "\0",
    "-\0",
    "\u{a0}",
    "=",
    "a=",
    "a=b ",
    "on",
    "onx=",
    "href=&#0",
    "href=",
    "&#x",
    "&#0;",
    "/",
    "/>",
    ">",
    "<%",
    "<%%",
    "<![CDATA[",
    "]]",
    "%",
    "?",
    ":",
    "::",
    "::int ",
    "!!",
    "+",
    "in(1),",
    "collate a_b ",
    "a=' ",
    "a=\"'",
    "<a b='",
    "sp_password",
    "_",
    "s_",
    "if exists ",
    ";if ",
];

#[test]
fn the_time_is_linear_in_the_bytes() {
    for head in ["", "x'", "<a href=", "$a$ 1 -- sp_password \""] {
        for part in PARTS {
            let value = |bytes| -> Vec<u8> { head.bytes().chain(part.bytes().cycle().take(bytes)).collect() };
            let (short, long) = (value(4 << 10), value(64 << 10));
            // Sixteen times the bytes; what is not linear takes 256 times as long. A machine that others use as well
            // makes single runs slow, but not all of them.
            let linear = || time(&long) < time(&short) * 64 + Duration::from_millis(1);
            assert!((0..20).any(|_| linear()), "{head}{part}: {:?}, {:?}", time(&short), time(&long));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time that passes is what is tested")]
fn time(value: &[u8]) -> Duration {
    let start = std::time::Instant::now();
    black_box((sql(value), script(value)));
    start.elapsed()
}
