//! The reference policies, inside the binary: starting points for `init` and examples for `explain`.

/// A policy that ships with Reeve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Reference {
    /// Short; every clause of it is judged by this version
    Demo,
    /// A services company with a few applications in the cloud
    Services,
    /// A multi-tenant service, many customers in one database
    Saas,
    /// A marketplace seller that answers for every layer in detail
    Seller,
    /// A company whose product is a public REST API
    PublicApi,
    /// A larger organisation, ten areas from access to review
    Enterprise,
}

impl Reference {
    /// All of them; the demo first, because its clauses have names instead of numbers.
    pub(crate) const ALL: [Self; 6] =
        [Self::Demo, Self::Services, Self::Saas, Self::Seller, Self::PublicApi, Self::Enterprise];

    /// The whole file.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Demo => include_str!("../../../policies/demo.toml"),
            Self::Services => include_str!("../../../policies/services.toml"),
            Self::Saas => include_str!("../../../policies/saas.toml"),
            Self::Seller => include_str!("../../../policies/seller.toml"),
            Self::PublicApi => include_str!("../../../policies/public-api.toml"),
            Self::Enterprise => include_str!("../../../policies/enterprise.toml"),
        }
    }
}
