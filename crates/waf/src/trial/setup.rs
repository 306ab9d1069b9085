//! Settings under which tests of rules run: rule texts of our own, before and among those that are tested.

pub use crate::base_rules::BASE_RULES as BASE;

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
