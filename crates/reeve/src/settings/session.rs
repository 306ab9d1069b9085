//! What identifies a signed-in user: `[session]`.

use reeve_base::Diagnostic;
use reeve_base::document::{Faults, Fields, Table};
use reeve_edge::Session;

use super::Located;

pub(super) fn read(table: &Table, faults: &mut Faults) -> Session {
    let mut fields = Fields::new(table, "`[session]`", faults);
    let cookie = fields.optional::<Located<String>>("cookie");
    if let Some(wrong) = cookie.as_ref().filter(|cookie| !is_name(&cookie.value)) {
        let fault = Diagnostic::error("document::wrong-value", format!("`{}` is no name of a cookie", wrong.value));
        let help = "write the name alone, as the application sets it: \"session\"";
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help(help));
    }
    let bearer = fields.optional("bearer").unwrap_or_default();
    fields.finish();
    Session { cookie: cookie.map(|cookie| cookie.value), bearer }
}

/// A token (RFC 6265 section 4.1.1, RFC 9110 section 5.6.2).
fn is_name(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(is_token)
}

/// Longer than any name in use.
const NAME_BYTES_MAX: usize = 128;
