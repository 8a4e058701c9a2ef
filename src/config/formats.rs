//! Texts with a form of their own. One row of [`FORMATS`] each: the name a schema calls it by, and who reads it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::engine::chat::is_name;

/// A form by the name that schemas give it. The reader answers with what was expected.
pub(super) struct Format {
    pub(super) name: &'static str,
    pub(super) expected: &'static str,
    pub(super) fits: fn(&str) -> bool,
}

pub(super) static FORMATS: &[Format] = &[
    Format {
        name: "listen-address",
        expected: "an address and a port such as 127.0.0.1:8084 or [::]:8084",
        fits: |text| parse_listen(text).is_some(),
    },
    Format {
        name: "origin",
        expected: "an origin such as https://play.example (scheme, host, maybe a port, nothing after), or *",
        fits: is_origin,
    },
    Format {
        name: "network",
        expected: "an IP address or a network such as 10.0.0.0/8",
        fits: |text| text.parse::<Network>().is_ok(),
    },
    Format {
        name: "name",
        expected: "a name of 1 to 64 letters, digits, '_' or '-'",
        fits: |text| is_short(text) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)),
    },
    Format {
        name: "channel-name",
        expected: "1 to 64 bytes in Unicode's normal form C without spaces, ':', control characters or such as turn the \
                   direction of text",
        fits: is_name,
    },
];

/// The schema of a text with the form of this name.
pub(super) fn text(format: &str) -> serde_json::Value {
    serde_json::json!({"type": "string", "format": format})
}

/// Addresses are never looked up: what a name resolves to may change between the check and the start. `localhost`
/// alone is not a question.
fn parse_listen(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse().ok(),
        None => text.parse().ok(),
    }
}

pub(super) fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    parse_listen(&text).ok_or_else(|| de::Error::custom(FORMATS[0].expected))
}

/// What browsers send as `Origin`: scheme, host, maybe a port, lowercase, and nothing after.
fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    let host_fits = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(plain),
    };
    let scheme_fits = !scheme.is_empty() && scheme.bytes().all(|b| plain(b) || b == b'+');
    scheme_fits && host_fits && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Names are shown in lists and sent by every client that asks for them.
fn is_short(text: &str) -> bool {
    (1..=64).contains(&text.len())
}

/// One address or a network of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    addr: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `addr` belongs to this network. An IPv4 address that arrived over an IPv6 socket counts as IPv4.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr, addr.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                same_prefix(ours.to_bits().into(), theirs.to_bits().into(), 32 - u32::from(self.prefix))
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                same_prefix(ours.to_bits(), theirs.to_bits(), 128 - u32::from(self.prefix))
            }
            _ => false,
        }
    }
}

fn same_prefix(ours: u128, theirs: u128, host_bits: u32) -> bool {
    // A shift by all 128 bits is no shift in Rust, and `::/0` asks for one: then every bit is the host's.
    (ours ^ theirs).checked_shr(host_bits).unwrap_or(0) == 0
}

/// The text was neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address or a network such as 10.0.0.0/8")]
pub struct BadNetwork;

impl FromStr for Network {
    type Err = BadNetwork;
    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (addr, prefix) = match text.split_once('/') {
            Some((addr, prefix)) => (addr, Some(prefix.parse::<u8>().map_err(|_| BadNetwork)?)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| BadNetwork)?;
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        match prefix.unwrap_or(bits) {
            prefix if prefix <= bits => Ok(Self { addr, prefix }),
            _ => Err(BadNetwork),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.addr, self.prefix) {
            (IpAddr::V4(addr), 32) => addr.fmt(f),
            (IpAddr::V6(addr), 128) => addr.fmt(f),
            (addr, prefix) => write!(f, "{addr}/{prefix}"),
        }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_they_should() {
        for (network, addr, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "fe80::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(addr.parse().unwrap()), inside, "{addr} in {network}");
            assert_eq!(parsed.to_string(), network);
        }
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "proxy.example", "10.0.0.0/-1"] {
            assert_eq!(bad.parse::<Network>(), Err(BadNetwork), "{bad}");
        }
    }

    #[test]
    fn channels_of_the_configuration_are_called_as_rooms_are() {
        let form = FORMATS.iter().find(|form| form.name == "channel-name").expect("it has a form");
        for good in ["lobby", "trade-2", "caf\u{e9}"] {
            assert!((form.fits)(good), "{good:?}");
        }
        let long = "x".repeat(65);
        for bad in ["", "a b", "a:b", "a\u{7}", "a\u{202e}b", "a\u{200f}", "cafe\u{301}", &long] {
            assert!(!(form.fits)(bad), "{bad:?}");
        }
    }

    #[test]
    fn origins_are_what_browsers_send() {
        for good in ["*", "https://play.example", "http://localhost:3000", "http://[::1]:8080", "capacitor://localhost"]
        {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["", "play.example", "https://", "https://play.example/", "https://a:99999", "https://Play.example"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn listen_addresses_are_not_looked_up() {
        assert_eq!(parse_listen("localhost:0"), "127.0.0.1:0".parse().ok());
        assert_eq!(parse_listen("[::]:8084"), "[::]:8084".parse().ok());
        for bad in ["", "8084", ":8084", "play.example:80", "127.0.0.1", "127.0.0.1:70000"] {
            assert_eq!(parse_listen(bad), None, "{bad}");
        }
    }
}
