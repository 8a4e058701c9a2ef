//! Who may be called what, what a password must be, and what a token is. Pure: the gateway brings the randomness and
//! the clock, the store keeps the hashes.
//!
//! Tokens are opaque: 256 random bits as text, of which the store only ever sees the SHA-256. A token that random
//! needs no slow hash; a password does (argon2id, in the gateway).

use rand::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;

/// Characters of a username, all of `[a-zA-Z0-9_-]`.
pub const USERNAME_CHARS: std::ops::RangeInclusive<usize> = 3..=32;

/// Characters of a password, any.
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// Characters of a display name.
pub const DISPLAY_NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=64;

/// Bytes of a device id.
pub const DEVICE_ID_BYTES: std::ops::RangeInclusive<usize> = 1..=255;

/// Bytes of a device secret as it is sent. 32 random bytes in base64 are 44; fewer than 32 characters cannot carry
/// what a secret without a slow hash needs.
pub const DEVICE_SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=1_024;

/// A username that may be had, if nobody has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    /// As the player wrote it.
    pub shown: String,
    /// Folded to one case: two players never share it.
    pub key: String,
    /// With look-alike letters made equal: two players never share it either.
    pub skeleton: String,
}

impl Username {
    /// Reads a username, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !USERNAME_CHARS.contains(&text.chars().count()) {
            return Err("must have 3 to 32 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) {
            return Err("may hold letters a to z, digits, _ and - only");
        }
        Ok(Self { shown: text.into(), key: text.to_ascii_lowercase(), skeleton: skeleton(text) })
    }

    /// What sign-in looks a name up by; also of texts that could never be a username, which then nobody has.
    pub fn key_of(text: &str) -> String {
        text.to_ascii_lowercase()
    }

    /// A name for a guest: `guest_` and 64 random bits.
    pub fn of_guest(rng: &mut impl CryptoRng) -> Self {
        let shown = format!("guest_{:016x}", rng.next_u64());
        Self { key: shown.clone(), skeleton: skeleton(&shown), shown }
    }
}

/// The same text for names that look the same in a common typeface. It looks at the letters as written (a capital `I`
/// is a small `l`, a small `i` is not) and at nothing beyond ASCII, because a username has nothing beyond ASCII.
fn skeleton(username: &str) -> String {
    let one_by_one: String = username
        .chars()
        .map(|c| match c {
            'I' | '1' => 'l',
            '0' => 'o',
            other => other.to_ascii_lowercase(),
        })
        .collect();
    one_by_one.replace("rn", "m").replace("vv", "w")
}

/// Reads a password (composed, so that every keyboard types the same one), or says what is wrong with it.
pub fn password(text: &str) -> Result<String, &'static str> {
    // A cheap look first: normalising is work, and a stranger chose the length.
    if text.chars().take(PASSWORD_CHARS.end() * 4 + 1).count() > PASSWORD_CHARS.end() * 4 {
        return Err("must have 8 to 128 characters");
    }
    let composed: String = text.nfc().collect();
    if !PASSWORD_CHARS.contains(&composed.chars().count()) {
        return Err("must have 8 to 128 characters");
    }
    Ok(composed)
}

/// Reads a display name (composed, without spaces around it), or says what is wrong with it.
pub fn display_name(text: &str) -> Result<String, &'static str> {
    const LENGTH: &str = "must have 1 to 64 characters";
    if text.chars().take(DISPLAY_NAME_CHARS.end() * 4 + 1).count() > DISPLAY_NAME_CHARS.end() * 4 {
        return Err(LENGTH);
    }
    let composed: String = text.trim().nfc().collect();
    if !DISPLAY_NAME_CHARS.contains(&composed.chars().count()) {
        return Err(LENGTH);
    }
    if composed.chars().any(is_unseen) {
        return Err("may hold no control, direction or invisible characters");
    }
    Ok(composed)
}

/// Characters that change how a text is shown without being seen: controls, line and paragraph separators, marks of
/// direction, zero-width space and no-break space, fillers, tags. Joiners (emoji, Persian, Hindi) are none of these.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'
            | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A token as it is handed out, and what is kept of it.
#[derive(Clone)]
pub struct Token {
    /// 64 hexadecimal digits: handed out once, never kept, never logged.
    pub text: String,
    /// What the store keeps.
    pub hash: [u8; 32],
}

impl Token {
    /// 256 fresh bits.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut bits = [0; 32];
        rng.fill_bytes(&mut bits);
        let text = hex(&bits);
        Self { hash: token_hash(&text), text }
    }
}

/// Shows that there is one, never which.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(set)")
    }
}

/// What the store knows a token by. Total: whatever a stranger sends has a hash, and almost surely nobody's.
pub fn token_hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether something that runs out at `expires_unix_ms` is still good.
pub fn is_live(expires_unix_ms: u64, now_unix_ms: u64) -> bool {
    now_unix_ms < expires_unix_ms
}

/// What the store knows a guest's device by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Hash of the device id.
    pub device: [u8; 32],
    /// Hash of the device secret, with the device id in it: equal secrets on two devices do not look equal.
    pub secret: [u8; 32],
}

/// Which half of a device's credentials is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceFault {
    /// The id is empty or too long.
    Id,
    /// The secret is too short to be one, or too long.
    Secret,
}

impl Device {
    /// Reads what a device sent.
    pub fn parse(device_id: &str, device_secret: &str) -> Result<Self, DeviceFault> {
        if !DEVICE_ID_BYTES.contains(&device_id.len()) {
            return Err(DeviceFault::Id);
        }
        if !DEVICE_SECRET_BYTES.contains(&device_secret.len()) {
            return Err(DeviceFault::Secret);
        }
        let device = token_hash(device_id);
        let secret = Sha256::new().chain_update(device).chain_update(device_secret.as_bytes()).finalize().into();
        Ok(Self { device, secret })
    }
}

/// Whether two secrets are equal, in a time that does not tell where they differ. Of texts, compare their hashes.
pub fn same_secret(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    #[test]
    fn usernames_are_short_and_plain() {
        let long = "x".repeat(32);
        for good in ["abc", "A_b-9", long.as_str()] {
            assert_eq!(Username::parse(good).map(|name| name.shown), Ok(good.to_owned()));
        }
        let too_long = "x".repeat(33);
        for bad in ["", "ab", too_long.as_str(), "a b", "ab.c", "ab\n", "b\u{f6}b", "\u{430}bc", "ab\u{202e}"] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_that_look_alike_share_a_skeleton() {
        let of = |name: &str| Username::parse(name).expect("a name").skeleton;
        for (a, b) in [("Bill", "BiIl"), ("paypal", "paypa1"), ("Root", "R00t"), ("modern", "modem"), ("wow", "vvow")] {
            assert_eq!(of(a), of(b), "{a} {b}");
        }
        for (a, b) in [("ian", "lan"), ("anna", "hanna"), ("p_1", "p-1"), ("smoke_1", "smoke_2")] {
            assert_ne!(of(a), of(b), "{a} {b}");
        }
        assert_eq!(of("Ian"), of("lan"), "a capital I is a small l to the eye");
    }

    #[test]
    fn passwords_and_display_names_are_composed_and_measured_in_characters() {
        assert_eq!(password("pa\u{308}ssword"), Ok("p\u{e4}ssword".into()));
        assert_eq!(password("12345678").as_deref(), Ok("12345678"));
        for bad in ["", "1234567", &"x".repeat(129), &"x".repeat(1 << 20), "7 chars"] {
            assert!(password(bad).is_err(), "{} bytes", bad.len());
        }
        assert!(password(&"\u{1f512}".repeat(128)).is_ok(), "128 characters, 512 bytes");

        assert_eq!(display_name("  Zoe\u{308} the 1st ").as_deref(), Ok("Zo\u{eb} the 1st"));
        assert!(display_name("\u{1f468}\u{200d}\u{1f680} ok").is_ok(), "an emoji with a joiner");
        let unseen = ["a\u{202e}b", "a\nb", "\u{200b}", "a\u{2066}b", "a\u{feff}", "\u{3164}", "a\u{7f}", "\u{e0041}"];
        for bad in ["", "   ", &"x".repeat(65)].into_iter().chain(unseen) {
            assert!(display_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tokens_are_random_and_known_by_their_hash() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (a, b) = (Token::new(&mut rng), Token::new(&mut rng));
        assert_eq!((a.text.len(), a.hash), (64, token_hash(&a.text)));
        assert_ne!(a.text, b.text);
        assert!(!format!("{a:?}").contains(&a.text), "no log shows it");
        assert_eq!(hex(&token_hash("abc")[..4]), "ba7816bf");
        assert!(is_live(10, 9) && !is_live(10, 10));
    }

    #[test]
    fn devices_are_known_by_hashes_of_both_halves() {
        let secret = "s".repeat(44);
        let device = Device::parse("phone", &secret).expect("acceptable");
        let other = Device::parse("tablet", &secret).expect("acceptable");
        assert_ne!(device.secret, other.secret);
        assert!(same_secret(&device.secret, &Device::parse("phone", &secret).expect("acceptable").secret));
        assert!(!same_secret(&device.secret, &other.secret));
        for (id, secret, fault) in [
            ("", secret.as_str(), DeviceFault::Id),
            (&"x".repeat(256), &secret, DeviceFault::Id),
            ("phone", "short", DeviceFault::Secret),
            ("phone", &"s".repeat(1_025), DeviceFault::Secret),
        ] {
            assert_eq!(Device::parse(id, secret), Err(fault));
        }
    }
}
