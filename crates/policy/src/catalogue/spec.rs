//! What every control states of itself, and the macro that derives it from one declaration.

use std::cmp::Ordering;

/// A control as data: its name, what it promises, and the parameters that one clause gave it.
///
/// Everything that speaks of controls (the reader, the renderer, `explain`, the schema, the difference between two
/// policies) works from this, so that a parameter is declared once.
pub(crate) trait Spec {
    /// What is the same for every clause with this control.
    fn facts(&self) -> Facts;

    /// The parameters with the values of this clause, in the order of their declaration.
    fn parameters(&self) -> Vec<Parameter>;
}

/// What is fixed for a control.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// `tls.floor`.
    pub name: &'static str,
    /// What it promises, in one line.
    pub summary: &'static str,
    /// Which part of Reeve makes it so.
    pub enforced: &'static str,
    /// How a probe finds out.
    pub proved: &'static str,
    /// The items of frameworks that it serves. This reading is Reeve's own, not an official mapping.
    pub serves: &'static [&'static str],
}

/// One parameter with the value it has in a clause.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its key in `with`.
    pub name: &'static str,
    /// What it means.
    pub summary: &'static str,
    /// What may be written.
    pub expected: &'static str,
    /// The least and the greatest value, as written, where there are such.
    pub bounds: Option<(String, String)>,
    /// The value as a sentence says it.
    pub english: String,
    /// The value as the policy writes it.
    pub written: String,
    /// JSON Schema of the value.
    pub schema: serde_json::Value,
}

/// How one parameter differs between two clauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The parameter.
    pub name: &'static str,
    /// `Greater`: the left value is stricter. `None`: they differ and neither is.
    pub strictness: Option<Ordering>,
}

/// Declares a control: a struct of its parameters with defaults, bounds and the sense in which a value is stricter.
macro_rules! control {
    (
        $(#[doc = $summary:literal])+
        $name:ident = $text:literal;
        enforced $enforced:literal;
        proved $proved:literal;
        serves [$($serves:literal),* $(,)?];
        $(
            $(#[doc = $parameter_summary:literal])+
            $parameter:ident: $type:ty = $default:expr, $strictness:path $(, from $least:expr, to $greatest:expr)?;
        )*
    ) => {
        $(#[doc = $summary])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $parameter_summary])+ pub $parameter: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($parameter: $default,)* }
            }
        }

        impl $crate::catalogue::spec::Spec for $name {
            fn facts(&self) -> $crate::catalogue::spec::Facts {
                $crate::catalogue::spec::Facts {
                    name: $text,
                    summary: concat!($($summary),+).trim_ascii_start(),
                    enforced: $enforced,
                    proved: $proved,
                    serves: &[$($serves),*],
                }
            }

            fn parameters(&self) -> Vec<$crate::catalogue::spec::Parameter> {
                vec![$($crate::catalogue::spec::Parameter {
                    name: stringify!($parameter),
                    summary: concat!($($parameter_summary),+).trim_ascii_start(),
                    expected: <$type as reeve_base::document::FromValue>::EXPECTED,
                    bounds: control!(@bounds $($least, $greatest)?),
                    english: $crate::catalogue::value::ParameterValue::english(&self.$parameter),
                    written: $crate::catalogue::value::ParameterValue::written(&self.$parameter),
                    schema: <$type as $crate::catalogue::value::ParameterValue>::schema(),
                },)*]
            }
        }

        impl $name {
            /// Reads the parameters from a clause's `with`; those not written keep their defaults.
            #[allow(unused_mut, unused_variables, clippy::allow_attributes, reason = "some controls have no parameters")]
            pub(crate) fn read(fields: &mut reeve_base::document::Fields<'_, '_>) -> Self {
                let mut control = Self::default();
                $(
                    if let Some(value) = fields.optional::<$type>(stringify!($parameter)) {
                        $(
                            let (least, greatest): ($type, $type) = ($least, $greatest);
                            if value < least || value > greatest {
                                $crate::catalogue::spec::out_of_range(
                                    fields, stringify!($parameter), &value, &least, &greatest,
                                );
                            }
                        )?
                        control.$parameter = value;
                    }
                )*
                control
            }

            /// Compares parameter by parameter; equal ones are left out.
            #[allow(unused_variables, clippy::allow_attributes, reason = "some controls have no parameters")]
            pub(crate) fn differences(&self, other: &Self) -> Vec<$crate::catalogue::spec::Difference> {
                let all: Vec<$crate::catalogue::spec::Difference> = vec![$($crate::catalogue::spec::Difference {
                    name: stringify!($parameter),
                    strictness: {
                        let strictness: $crate::catalogue::value::Strictness<$type> = $strictness;
                        strictness(&self.$parameter, &other.$parameter)
                    },
                },)*];
                all.into_iter().filter(|one| one.strictness != Some(std::cmp::Ordering::Equal)).collect()
            }

            /// The promise that keeps both: each parameter at its stricter value. Where neither is stricter, this
            /// one's value stays; `reeve check` refuses such a policy.
            #[allow(unused_variables, clippy::allow_attributes, reason = "some controls have no parameters")]
            pub(crate) fn strictest(&self, other: &Self) -> Self {
                Self {
                    $($parameter: {
                        let strictness: $crate::catalogue::value::Strictness<$type> = $strictness;
                        let other_is_stricter =
                            strictness(&self.$parameter, &other.$parameter) == Some(std::cmp::Ordering::Less);
                        if other_is_stricter { other.$parameter.clone() } else { self.$parameter.clone() }
                    },)*
                }
            }
        }
    };
    (@bounds) => { None };
    (@bounds $least:expr, $greatest:expr) => { Some(($least.to_string(), $greatest.to_string())) };
}

/// Records a value outside its bounds.
pub(crate) fn out_of_range(
    fields: &mut reeve_base::document::Fields<'_, '_>,
    key: &'static str,
    value: &dyn std::fmt::Display,
    least: &dyn std::fmt::Display,
    greatest: &dyn std::fmt::Display,
) {
    let Some(span) = fields.value(key).map(|value| value.span.clone()) else { return };
    let message = format!("`{key}` is `{value}`, outside its range");
    let fault = reeve_base::Diagnostic::error("policy::out-of-range", message);
    fields.faults().push(fault.at(span, "this value").help(format!("write a value from `{least}` to `{greatest}`")));
}
