//! Which pages may open links to a node, by the origin that their browser names (RFC 6454). It keeps out pages of other sites, which a
//! visitor of both would let in; it keeps out no program, because programs claim any origin. Admission to links is by key all the same.

/// Pages that may open links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Those of any site.
    Any,
    /// Those that the node itself serves, and those of these sites, as browsers write them (`https://example.org:8443`).
    OwnAnd(Vec<String>),
}

impl Default for Origins {
    fn default() -> Self {
        Self::OwnAnd(Vec::new())
    }
}

impl Origins {
    /// Pages of any site, or, if some are listed, of these alone beside the node's own.
    pub fn of_listed(listed: Vec<String>) -> Self {
        if listed.is_empty() { Self::Any } else { Self::OwnAnd(listed) }
    }

    /// Whether a client is let in that names this origin, or none, as programs do, and asks for this host (`host:port`, or `host` where the
    /// port is that of the scheme).
    pub fn admit(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let (Self::OwnAnd(listed), Some(origin)) = (self, origin) else { return true };
        let own = origin.split_once("://").map(|(_, authority)| authority);
        let is_same = host.is_some_and(|host| own.is_some_and(|own| own.eq_ignore_ascii_case(host)));
        let is_own = is_same && host.is_some_and(is_of_this_network);
        is_own || listed.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
    }
}

/// Whether a host is one that no stranger's name servers answer for. A page of a public name could have that name lead here (DNS
/// rebinding), and would look like one of this node: such names are to be listed.
fn is_of_this_network(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let is_address = name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok();
    is_address || !name.contains('.') || name.to_ascii_lowercase().ends_with(".local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_node_and_of_listed_sites_are_let_in_and_programs_are() {
        let origins = Origins::OwnAnd(vec!["https://example.org".to_owned()]);
        for (origin, is_admitted) in [
            (Some("http://192.0.2.1:4433"), true),
            (Some("https://192.0.2.1:4433"), true),
            (Some("https://EXAMPLE.org"), true),
            (None, true),
            (Some("https://192.0.2.1"), false),
            (Some("https://evil.example"), false),
            (Some("https://192.0.2.1:4433.evil.example"), false),
            (Some("http://example.org"), false),
            (Some("null"), false),
            (Some(""), false),
        ] {
            assert_eq!(origins.admit(origin, Some("192.0.2.1:4433")), is_admitted, "{origin:?}");
            assert!(Origins::Any.admit(origin, None));
        }
        assert!(!origins.admit(Some("http://192.0.2.1:4433"), None));
        for (host, is_own) in [
            ("localhost:4433", true),
            ("[2001:db8::1]:4433", true),
            ("nas:4433", true),
            ("nas.local", true),
            ("evil.example:4433", false),
            ("1.2.3.4.evil.example", false),
        ] {
            assert_eq!(origins.admit(Some(&format!("https://{host}")), Some(host)), is_own, "{host}");
        }
    }
}
