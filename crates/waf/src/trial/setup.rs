//! Settings under which tests of rules run: rule texts of our own, before and among those that are tested.

/// What an engine needs so that rules see bodies: they are read, JSON and XML as such, and what cannot be read is
/// found (rules 200000 to 200007, by the numbers that rule sets know them by). Goes before all rules.
pub const BASE: &str = r#"SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 1048576
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecResponseBodyLimit 1048576
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:text/|application/(?:soap\+)?)xml" "id:200000,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" "id:200001,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/[a-z0-9.-]+\+json" "id:200006,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,deny,status:400,log,t:none,msg:'The request body cannot be read',logdata:'%{REQBODY_ERROR_MSG}',severity:'CRITICAL'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,deny,status:400,log,t:none,msg:'The multipart body can be read in more than one way',severity:'CRITICAL'"
SecRule MULTIPART_UNMATCHED_BOUNDARY "@eq 1" "id:200004,phase:2,deny,status:400,log,t:none,msg:'The multipart body holds a line that may be a boundary',severity:'CRITICAL'"
SecRule &ARGS "@ge 1000" "id:200007,phase:2,deny,status:400,log,t:none,msg:'There are more arguments than are looked into',severity:'CRITICAL'"
"#;

/// What the regression tests of the Core Rule Set expect to be set up, at a paranoia level from 1 to 4. Goes after the
/// set-up of the rules and before the rules; for other rules it says nothing.
#[must_use]
pub fn setup(paranoia: u8) -> String {
    let variables = [
        ("blocking_paranoia_level", u32::from(paranoia)),
        ("detection_paranoia_level", u32::from(paranoia)),
        // The two names of version 3.
        ("paranoia_level", u32::from(paranoia)),
        ("executing_paranoia_level", u32::from(paranoia)),
        // The examples of the Core Rule Set's set-up: without these two, 920360-1 and 920380-1 cannot pass.
        ("arg_name_length", 100),
        ("max_num_args", 255),
        ("arg_length", 400),
        ("total_arg_length", 64_000),
        ("max_file_size", 64_100),
        ("combined_file_sizes", 65_535),
        ("crs_validate_utf8_encoding", 1),
    ];
    let settings: String = variables.iter().map(|(name, value)| format!(",setvar:tx.{name}={value}")).collect();
    format!("SecAction \"id:{SETUP_ID},phase:1,pass,nolog,t:none{settings}\"\n")
}

/// How many rules [`BASE`] and [`setup`] have together.
#[must_use]
pub fn own_rules() -> usize {
    BASE.lines().filter(|line| line.starts_with("SecRule ")).count() + 1
}

/// An id that no rule set is known to use.
const SETUP_ID: u32 = 999_999_001;
