//! Controls over what is sent: its shape, its types, its formats, its characters.

use reeve_base::Size;

use super::value::{Refused, higher, lower, more};

control! {
    /// Every request is held to the application's OpenAPI document; what it does not know is refused.
    InputSchema = "input.schema";
    enforced "the gateway refuses paths, methods, parameters, fields and bodies that the document named in the settings does not have, and without one bounds what it reads by kind";
    proved "reads the document by itself, sends a well-formed request to each operation it can, which must pass, and malformed twins of it, which must be refused by the gateway and never reach the application";
    serves ["OWASP ASVS 5.0 2.2.1", "OWASP ASVS 5.0 2.2.2", "OWASP API Security 2023 API3", "NIST SP 800-53r5 SI-10", "PCI DSS 4.0.1 6.2.4"];
    /// The most levels of JSON.
    depth: u16 = 32, lower, from 1, to 120;
    /// The most values in JSON, fields in a form and parts of a multipart body.
    values: u32 = 10_000, lower, from 1, to 1_000_000;
    /// The largest body that is looked into; a longer one is refused.
    body: Size = Size::from_bytes(1 << 20), lower, from Size::from_bytes(1 << 10), to Size::from_bytes(32 << 20);
    /// Whether paths and methods that the document does not name are refused.
    documented_only: bool = true, higher;
}

control! {
    /// Every value has the type that the application's document gives it.
    InputType = "input.type";
    enforced "the gateway refuses a parameter, field or body of another type than the document named in the settings says";
    proved "reads the document by itself and sends a value of a wrong type to each operation it can, which must be refused by the gateway; its well-formed twin must pass";
    serves ["OWASP ASVS 5.0 2.2.1", "NIST SP 800-53r5 SI-10"];
}

control! {
    /// Every text has the format that the application's document gives it.
    InputFormat = "input.format";
    enforced "the gateway refuses a text that is not of the format or pattern that the document named in the settings says";
    proved "reads the document by itself and sends a text of a wrong format to each operation it can, which must be refused by the gateway; its well-formed twin must pass";
    serves ["OWASP ASVS 5.0 2.2.1", "NIST SP 800-53r5 SI-10"];
}

control! {
    /// Dangerous characters are refused in every part of a request, however they are written.
    InputCharset = "input.charset";
    enforced "the gateway decodes path, query and forms, reads fields and JSON, and refuses control characters, NUL and bytes that are no shortest UTF-8";
    proved "sends each kind in path, query, header field, form and JSON, which must be refused; other scripts in the same places must pass";
    serves ["OWASP ASVS 5.0 1.1.1", "OWASP ASVS 5.0 2.2.1", "NIST SP 800-53r5 SI-10"];
    /// What is refused.
    refused: Vec<Refused> = Refused::ALL.to_vec(), more;
}
