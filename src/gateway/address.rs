//! Where a request really comes from.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName};

/// The address of the client: the peer's, unless the peer is a proxy that `trusts` believes. Then it is the rightmost
/// hop of `X-Forwarded-For` that is no such proxy: what lies left of it was written by the client and may say anything.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer.to_canonical();
    if !trusts(client) {
        return client;
    }
    let hops: Vec<&str> = headers
        .get_all(HeaderName::from_static("x-forwarded-for"))
        .flat_map(|line| line.to_str().unwrap_or("?").split(','))
        .collect();
    for hop in hops.into_iter().rev() {
        // A hop that is no address was not written by a proxy of ours: the last one that was stands.
        let Some(hop) = parse_hop(hop.trim()) else { return client };
        client = hop.to_canonical();
        if !trusts(client) {
            return client;
        }
    }
    client
}

/// An address, with a port as some proxies write it or without.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bracketed = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    bracketed
        .unwrap_or(hop)
        .parse()
        .ok()
        .or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn only_trusted_proxies_are_believed_and_only_what_they_saw() {
        let trusts = |ip: IpAddr| ip.to_string().starts_with("10.");
        for (peer, forwarded, expected) in [
            ("1.1.1.1", vec!["9.9.9.9"], "1.1.1.1"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["9.9.9.9"], "9.9.9.9"),
            ("::ffff:10.0.0.1", vec!["9.9.9.9"], "9.9.9.9"),
            ("10.0.0.1", vec!["6.6.6.6, 9.9.9.9"], "9.9.9.9"),
            ("10.0.0.1", vec!["6.6.6.6, 9.9.9.9, 10.0.0.2"], "9.9.9.9"),
            ("10.0.0.1", vec!["6.6.6.6", "9.9.9.9,10.0.0.2"], "9.9.9.9"),
            ("10.0.0.1", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", vec!["6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", vec!["9.9.9.9:4711"], "9.9.9.9"),
            ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", vec!["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in &forwarded {
                headers
                    .append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).expect("a header"));
            }
            let peer = peer.parse().expect("an address");
            assert_eq!(client_address(peer, &headers, trusts).to_string(), expected, "{peer} {forwarded:?}");
        }
    }
}
