//! Routes that answer some networks only.

use std::net::IpAddr;

use ipnet::IpNet;
use reeve_policy::catalogue::EdgeIpAllow;

use crate::refusal::Refusal;
use crate::rules::plainly;

#[derive(Debug)]
pub(super) struct Routes {
    /// In lower case, without a slash at the end.
    paths: Vec<String>,
    networks: Vec<IpNet>,
}

impl Routes {
    pub(super) fn new(control: &EdgeIpAllow) -> Self {
        let plain = |path: &str| plainly(path).trim_end_matches('/').to_ascii_lowercase();
        Self {
            paths: control.routes.iter().map(|route| plain(route.as_str())).collect(),
            networks: control.networks.iter().map(|network| network.net()).collect(),
        }
    }

    pub(super) fn judge(&self, path: &str, address: IpAddr) -> Result<(), Refusal> {
        if self.restricts(path) && !self.networks.iter().any(|network| network.contains(&address)) {
            return Err(Refusal::Elsewhere);
        }
        Ok(())
    }

    /// Whether it is one of the routes, or below one, in whatever way it is spelled. In capitals too: some applications
    /// read those as the same.
    fn restricts(&self, path: &str) -> bool {
        let path = plainly(path);
        self.paths.iter().any(|route| {
            let (begin, rest) = match path.split_at_checked(route.len()) {
                Some(parts) => parts,
                None => return false,
            };
            begin.eq_ignore_ascii_case(route) && (rest.is_empty() || rest.starts_with('/'))
        })
    }
}
