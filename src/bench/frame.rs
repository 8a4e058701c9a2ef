//! WebSocket frames as a load generator wants them: written masked into a buffer that leaves in one write, read in
//! place from a buffer that one read filled. No allocation per message.

use std::ops::Range;

/// Bytes of a frame that we are ready to take; more is not a frame of the wire.
const FRAME_BYTES_MAX: usize = 32 << 20;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// Goodbye.
    Close,
    /// "Are you there?"
    Ping,
    /// "I am."
    Pong,
}

/// A whole frame inside a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub op: Op,
    /// Where its payload stands.
    pub payload: Range<usize>,
}

/// Appends one whole frame to `out`, masked with `mask` as clients must, or plain as servers must.
pub fn write(out: &mut Vec<u8>, op: Op, payload: &[u8], mask: Option<[u8; 4]>) {
    let op = match op {
        Op::Text => 1,
        Op::Binary => 2,
        Op::Close => 8,
        Op::Ping => 9,
        Op::Pong => 10,
    };
    let masked = if mask.is_some() { 0x80 } else { 0 };
    out.push(0x80 | op);
    match payload.len() {
        len @ 0..=125 => out.push(masked | len as u8),
        len @ 126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(masked | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
    let at = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        toggle(&mut out[at..], mask);
    }
}

/// Masks, or takes the mask off again.
pub fn toggle(bytes: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from(u32::from_ne_bytes(mask));
    let wide = wide | wide << 32;
    let (eights, rest) = bytes.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The frame at the start of `bytes` and the length of the whole of it; `None` while it is not all there. Takes the mask
/// off in place where there is one.
///
/// # Errors
/// In a word, what is wrong with it.
pub fn read(bytes: &mut [u8]) -> Result<Option<(Found, usize)>, &'static str> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    if first & 0x80 == 0 {
        return Err("a fragmented message");
    }
    let op = match first & 0x7f {
        1 => Op::Text,
        2 => Op::Binary,
        8 => Op::Close,
        9 => Op::Ping,
        10 => Op::Pong,
        _ => return Err("a frame of a kind that does not exist"),
    };
    let (len, mut at) = match second & 0x7f {
        126 => match bytes.get(2..4) {
            Some(len) => (usize::from(u16::from_be_bytes([len[0], len[1]])), 4),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|len| <[u8; 8]>::try_from(len).ok()) {
            Some(len) => (usize::try_from(u64::from_be_bytes(len)).unwrap_or(usize::MAX), 10),
            None => return Ok(None),
        },
        len => (usize::from(len), 2),
    };
    if len > FRAME_BYTES_MAX {
        return Err("a frame of more than 32 MiB");
    }
    let mask = if second & 0x80 == 0 {
        None
    } else {
        at += 4;
        match bytes.get(at - 4..at) {
            Some(mask) => Some([mask[0], mask[1], mask[2], mask[3]]),
            None => return Ok(None),
        }
    };
    let Some(payload) = bytes.get_mut(at..at + len) else { return Ok(None) };
    if let Some(mask) = mask {
        toggle(payload, mask);
    }
    Ok(Some((Found { op, payload: at..at + len }, at + len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_never_early() {
        for len in [0, 1, 7, 8, 9, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            for mask in [None, Some([1, 0x80, 3, 0xff])] {
                let mut bytes = Vec::new();
                write(&mut bytes, Op::Text, &payload, mask);
                let whole = bytes.len();
                assert_eq!(read(&mut bytes[..whole - 1].to_vec()).unwrap(), None, "{len} bytes, one missing");
                bytes.extend_from_slice(b"next");
                let (found, used) = read(&mut bytes).unwrap().unwrap();
                assert_eq!((found.op, used), (Op::Text, whole));
                assert_eq!(&bytes[found.payload], payload);
            }
        }
    }

    #[test]
    fn a_mask_is_on_the_wire() {
        let mut bytes = Vec::new();
        write(&mut bytes, Op::Text, b"secret", Some([1, 2, 3, 4]));
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        assert_eq!(bytes[1], 0x80 | 6);
    }

    #[test]
    fn what_no_server_of_ours_sends_is_refused() {
        for bad in [&[0x01, 0][..], &[0x83, 0], &[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(read(&mut bad.to_vec()).is_err());
        }
    }
}
