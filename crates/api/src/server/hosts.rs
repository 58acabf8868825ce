//! Which host a request may name. Invariant: a page of another site cannot make a browser speak to this node under that site's name (DNS rebinding):
//! a name that is not of this machine is refused, whoever it resolves to.

use std::net::IpAddr;

use super::IsTls;

/// Whether a Host header names this machine: by an address, as `localhost`, by its own name, or by one that the settings allow.
pub(crate) fn is_own_host(host: &str, machine: &str, allowed: &[String]) -> bool {
    let Some(name) = name_of(host) else { return false };
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let machine = machine.to_ascii_lowercase();
    let bare = machine.split('.').next().unwrap_or_default();
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    let is_machine = !bare.is_empty() && (name == machine || name == bare || name == format!("{bare}.local"));
    is_address || is_local || is_machine || allowed.iter().any(|allowed| allowed == name)
}

/// Whether an Origin header is the one that the Host header names, by the scheme that is spoken: what came over HTTP, anybody on the way may have
/// written.
pub(crate) fn is_own_origin(origin: &str, host: &str, IsTls(is_tls): IsTls) -> bool {
    let of_origin = origin.strip_prefix(if is_tls { "https://" } else { "http://" });
    of_origin.is_some_and(|of_origin| of_origin.eq_ignore_ascii_case(host))
}

/// The name before the port.
fn name_of(host: &str) -> Option<&str> {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map(|(name, _)| name);
    }
    match host.split_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(name),
        Some(_) => None,
        None => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_of_this_machine_or_refused() {
        let allowed = ["swarm.example.org".to_owned()];
        let check = |host: &str, expected: bool| {
            assert_eq!(is_own_host(host, "Desk.lan", &allowed), expected, "{host}");
        };
        let own = [
            "127.0.0.1:8000",
            "[::1]:8000",
            "10.0.0.7",
            "localhost",
            "LOCALHOST:1",
            "desk",
            "desk.lan",
            "desk.local:8000",
        ];
        own.into_iter().for_each(|host| check(host, true));
        ["swarm.example.org", "swarm.example.org.:443"].into_iter().for_each(|host| check(host, true));
        let others = [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "desk.evil",
            "",
            "a:b",
            "[::1",
        ];
        others.into_iter().for_each(|host| check(host, false));
    }

    #[test]
    fn an_origin_is_the_host_that_is_asked() {
        let check = |origin: &str, over_http: bool, over_https: bool| {
            let found = [false, true].map(|is_tls| is_own_origin(origin, "desk:8000", IsTls(is_tls)));
            assert_eq!(found, [over_http, over_https], "{origin}")
        };
        check("https://desk:8000", false, true);
        check("http://DESK:8000", true, false);
        check("https://desk", false, false);
        check("https://evil.example", false, false);
        check("null", false, false);
    }
}
