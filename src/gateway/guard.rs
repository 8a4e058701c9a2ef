//! Reads the frames a client sends, and gives a stranger no memory for them.
//!
//! [`Guard`] is a value: bytes go in, [`Inbound`] events come out. It decides at the frame *header*, before a byte of
//! the body is kept, whether a length is acceptable; it puts fragments together under the same limit; it checks text
//! as it arrives, so that a message that cannot become UTF-8 ends at the first wrong byte. The framing that
//! actix-web-actors brings would buffer an announced gigabyte first and judge it afterwards, and reports every kind of
//! fault as one text; this is why it is not used.
//!
//! Rules are those of RFC 6455. Lengths in more bytes than they need are let through: nothing hangs on it.

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;

/// How much one message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRules {
    /// Bytes of a message, whole or in fragments.
    pub message_bytes_max: u64,
    /// Bytes of a refused message that are skipped politely; beyond it the connection ends with 1009.
    pub skip_bytes_max: u64,
}

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A whole text message.
    Text(ByteString),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping, to be answered with the same bytes.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A close with its code, if it gave one. Nothing follows.
    Close(Option<u16>),
    /// A message of at least so many bytes that is being skipped. Once per message, in its place among the others.
    TooLarge(u64),
    /// The end of the conversation. Nothing follows.
    Fault(Fault),
}

/// Why nothing more can be read from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A framing rule was broken: 1002, with the rule.
    Protocol(&'static str),
    /// Text that is not UTF-8: 1007.
    BadText,
    /// A message that is not worth skipping: 1009.
    TooBig,
}

/// Reads frames. See the module.
#[derive(Debug)]
pub struct Guard {
    rules: SizeRules,
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    state: State,
    /// The control frame being read.
    control: BytesMut,
    /// The message being put together.
    message: BytesMut,
    kind: Option<Kind>,
    /// Bytes of `message` known to be UTF-8.
    checked: usize,
    /// Set while the rest of a refused message is skipped, to the bytes skipped so far.
    skipped: Option<u64>,
}

const HEADER_BYTES_MAX: usize = 14;
const CONTROL_BYTES_MAX: u64 = 125;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Data,
    Ping,
    Pong,
    Close,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Header,
    Body { op: Op, fin: bool, mask: [u8; 4], left: u64 },
    Skip { fin: bool, left: u64 },
    Over,
}

/// A header, complete and obeying the rules.
struct Header {
    op: Op,
    fin: bool,
    first: Option<Kind>,
    mask: [u8; 4],
    length: u64,
}

impl Guard {
    /// A guard at the start of a connection.
    pub fn new(rules: SizeRules) -> Self {
        Self {
            rules,
            header: [0; HEADER_BYTES_MAX],
            header_bytes: 0,
            state: State::Header,
            control: BytesMut::new(),
            message: BytesMut::new(),
            kind: None,
            checked: 0,
            skipped: None,
        }
    }

    /// Reads from `chunk` up to the next event, taking off it what was read. `None`: all of it was. With `trusted`
    /// (an authenticated client) a message a little over the limit is skipped; without it the conversation ends.
    pub fn read(&mut self, chunk: &mut &[u8], trusted: bool) -> Option<Inbound> {
        loop {
            let event = match self.state {
                State::Over => {
                    *chunk = &[];
                    return None;
                }
                State::Header => match self.read_header(chunk)? {
                    Ok(header) => self.enter(header, trusted),
                    Err(rule) => Err(Fault::Protocol(rule)),
                },
                State::Body { op: Op::Data, fin, mask, left } => self.read_data(chunk, fin, mask, left),
                State::Body { op, mask, left, .. } => self.read_control(chunk, op, mask, left),
                State::Skip { fin, left } => {
                    let step = left.min(chunk.len() as u64);
                    chunk.advance(step as usize);
                    self.state = State::Skip { fin, left: left - step };
                    if left == step {
                        self.state = State::Header;
                        if fin {
                            (self.kind, self.skipped) = (None, None);
                        }
                    }
                    Ok(None)
                }
            };
            match event {
                Ok(Some(Inbound::Close(code))) => {
                    self.state = State::Over;
                    return Some(Inbound::Close(code));
                }
                Ok(Some(event)) => return Some(event),
                Ok(None) if chunk.is_empty() && !self.is_due() => return None,
                Ok(None) => {}
                Err(fault) => {
                    self.state = State::Over;
                    self.message = BytesMut::new();
                    return Some(Inbound::Fault(fault));
                }
            }
        }
    }

    /// Whether a frame is complete without another byte: an empty body.
    fn is_due(&self) -> bool {
        matches!(self.state, State::Body { left: 0, .. } | State::Skip { left: 0, .. })
    }

    /// Reads a header, judging its first two bytes as soon as they are there. `None`: more bytes are needed.
    fn read_header(&mut self, chunk: &mut &[u8]) -> Option<Result<Header, &'static str>> {
        self.fill_header(chunk, 2)?;
        let [first, second] = [self.header[0], self.header[1]];
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if let Err(rule) = self.judge(first, second) {
            return Some(Err(rule));
        }
        self.fill_header(chunk, 2 + extended + 4)?;
        let length = match extended {
            0 => u64::from(second & 0x7f),
            _ => self.header[2..2 + extended].iter().fold(0u64, |length, byte| length << 8 | u64::from(*byte)),
        };
        if length > i64::MAX as u64 {
            return Some(Err("a length has its highest bit set"));
        }
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.header[2 + extended..2 + extended + 4]);
        self.header_bytes = 0;
        let (op, kind) = match first & 0x0f {
            0 => (Op::Data, None),
            1 => (Op::Data, Some(Kind::Text)),
            2 => (Op::Data, Some(Kind::Binary)),
            8 => (Op::Close, None),
            9 => (Op::Ping, None),
            _ => (Op::Pong, None),
        };
        Some(Ok(Header { op, fin: first & 0x80 != 0, first: kind, mask, length }))
    }

    /// `None` until the header holds `bytes` bytes.
    fn fill_header(&mut self, chunk: &mut &[u8], bytes: usize) -> Option<()> {
        if self.header_bytes < bytes {
            let step = (bytes - self.header_bytes).min(chunk.len());
            chunk.copy_to_slice(&mut self.header[self.header_bytes..self.header_bytes + step]);
            self.header_bytes += step;
        }
        (self.header_bytes >= bytes).then_some(())
    }

    /// The rules that the first two bytes can break.
    fn judge(&self, first: u8, second: u8) -> Result<(), &'static str> {
        let (fin, opcode, length) = (first & 0x80 != 0, first & 0x0f, u64::from(second & 0x7f));
        if first & 0x70 != 0 {
            return Err("a reserved bit is set and no extension was negotiated");
        }
        if second & 0x80 == 0 {
            return Err("a client's frames are masked");
        }
        match opcode {
            0 if self.kind.is_none() => Err("a continuation continues nothing"),
            1 | 2 if self.kind.is_some() => Err("a message began inside another"),
            0..=2 => Ok(()),
            8..=10 if !fin => Err("a control frame is in fragments"),
            8..=10 if length > CONTROL_BYTES_MAX => Err("a control frame is over 125 bytes"),
            8..=10 => Ok(()),
            _ => Err("an opcode is not known"),
        }
    }

    /// A header was read: decides about the body before any of it is kept.
    fn enter(&mut self, header: Header, trusted: bool) -> Result<Option<Inbound>, Fault> {
        let Header { op, fin, first, mask, length } = header;
        if op != Op::Data {
            self.control.clear();
            self.state = State::Body { op, fin, mask, left: length };
            return Ok(None);
        }
        if first.is_some() {
            self.kind = first;
        }
        if let Some(skipped) = &mut self.skipped {
            *skipped = skipped.saturating_add(length);
            if *skipped > self.rules.skip_bytes_max {
                return Err(Fault::TooBig);
            }
            self.state = State::Skip { fin, left: length };
            return Ok(None);
        }
        let total = length.saturating_add(self.message.len() as u64);
        if total <= self.rules.message_bytes_max {
            self.state = State::Body { op, fin, mask, left: length };
            return Ok(None);
        }
        if !trusted || total > self.rules.skip_bytes_max {
            return Err(Fault::TooBig);
        }
        self.message = BytesMut::new();
        self.checked = 0;
        self.skipped = Some(total);
        self.state = State::Skip { fin, left: length };
        Ok(Some(Inbound::TooLarge(total)))
    }

    fn read_data(&mut self, chunk: &mut &[u8], fin: bool, mask: [u8; 4], left: u64) -> Result<Option<Inbound>, Fault> {
        let step = left.min(chunk.len() as u64) as usize;
        take_unmasked(chunk, step, mask, &mut self.message);
        let left = left - step as u64;
        if left > 0 || !fin {
            if self.kind == Some(Kind::Text) {
                self.check_text()?;
            }
            // The mask goes round every four bytes: what follows begins where this ended.
            let mut mask = mask;
            mask.rotate_left(step % 4);
            self.state = if left > 0 { State::Body { op: Op::Data, fin, mask, left } } else { State::Header };
            return Ok(None);
        }
        self.state = State::Header;
        self.checked = 0;
        let message = std::mem::take(&mut self.message).freeze();
        match self.kind.take() {
            Some(Kind::Text) => {
                ByteString::try_from(message).map(|text| Some(Inbound::Text(text))).map_err(|_| Fault::BadText)
            }
            _ => Ok(Some(Inbound::Binary(message))),
        }
    }

    /// Checks what has come of a text so far; a character that is cut at the end is not wrong yet.
    fn check_text(&mut self) -> Result<(), Fault> {
        match std::str::from_utf8(&self.message[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(wrong) if wrong.error_len().is_none() => self.checked += wrong.valid_up_to(),
            Err(_) => return Err(Fault::BadText),
        }
        Ok(())
    }

    fn read_control(&mut self, chunk: &mut &[u8], op: Op, mask: [u8; 4], left: u64) -> Result<Option<Inbound>, Fault> {
        let step = left.min(chunk.len() as u64) as usize;
        take_unmasked(chunk, step, mask, &mut self.control);
        let left = left - step as u64;
        if left > 0 {
            let mut mask = mask;
            mask.rotate_left(step % 4);
            self.state = State::Body { op, fin: true, mask, left };
            return Ok(None);
        }
        self.state = State::Header;
        let body = self.control.split().freeze();
        match op {
            Op::Ping => Ok(Some(Inbound::Ping(body))),
            Op::Close => close_code(&body).map(|code| Some(Inbound::Close(code))),
            Op::Pong | Op::Data => Ok(Some(Inbound::Pong)),
        }
    }
}

/// The code of a close frame's body, which may be empty.
fn close_code(body: &[u8]) -> Result<Option<u16>, Fault> {
    let Some((code, reason)) = body.split_first_chunk::<2>() else {
        return if body.is_empty() { Ok(None) } else { Err(Fault::Protocol("a close code is two bytes")) };
    };
    let code = u16::from_be_bytes(*code);
    // 1004 to 1006 and 1015 are never sent; below 3000 the others wait for a meaning.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Fault::Protocol("a close code is not one that may be sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(Fault::BadText),
    }
}

/// Moves `step` bytes from `chunk` to the end of `to`, taking the mask off.
fn take_unmasked(chunk: &mut &[u8], step: usize, mask: [u8; 4], to: &mut BytesMut) {
    let start = to.len();
    to.extend_from_slice(&chunk[..step]);
    chunk.advance(step);
    let mut words = to[start..].chunks_exact_mut(4);
    for word in &mut words {
        for (byte, mask) in word.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: SizeRules = SizeRules { message_bytes_max: 1_000, skip_bytes_max: 5_000 };
    const FIN: u8 = 0x80;

    fn frame(first: u8, body: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut out = announced(first, body.len() as u64);
        out.extend_from_slice(&mask);
        out.extend(body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    fn announced(first: u8, length: u64) -> Vec<u8> {
        let mut out = vec![first];
        match length {
            0..=125 => out.push(0x80 | length as u8),
            126..=0xffff => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                out.push(0x80 | 127);
                out.extend_from_slice(&length.to_be_bytes());
            }
        }
        out
    }

    fn read(bytes: &[u8], cuts: usize, trusted: bool) -> Vec<Inbound> {
        let mut guard = Guard::new(RULES);
        let mut seen = Vec::new();
        for part in bytes.chunks(cuts.max(1)) {
            let mut chunk = part;
            while let Some(event) = guard.read(&mut chunk, trusted) {
                seen.push(event);
            }
            assert!(chunk.is_empty());
        }
        seen
    }

    /// The same events however the bytes are cut.
    fn check(bytes: &[u8], expected: &[Inbound]) {
        for cuts in [1, 2, 3, 7, 64, usize::MAX] {
            assert_eq!(read(bytes, cuts, true), expected, "cut every {cuts} bytes");
        }
    }

    fn text(text: &str) -> Inbound {
        Inbound::Text(text.into())
    }

    fn protocol(bytes: &[u8]) {
        for cuts in [1, 2, usize::MAX] {
            let seen = read(bytes, cuts, true);
            assert!(matches!(seen[..], [Inbound::Fault(Fault::Protocol(_))]), "{seen:?} for {bytes:?}");
        }
    }

    #[test]
    fn messages_arrive_whole() {
        check(&frame(FIN | 1, b"hello"), &[text("hello")]);
        check(&frame(FIN | 1, b""), &[text("")]);
        check(&frame(FIN | 2, b"\xff\x00"), &[Inbound::Binary(Bytes::from_static(b"\xff\x00"))]);
        let long = "long ".repeat(40);
        check(&frame(FIN | 1, long.as_bytes()), &[text(&long)]);
        let euro = "€".as_bytes();
        let parts =
            [frame(1, &euro[..1]), frame(FIN | 9, b"hi"), frame(0, &euro[1..2]), frame(0, b""), frame(FIN, &euro[2..])];
        check(&parts.concat(), &[Inbound::Ping(Bytes::from_static(b"hi")), text("€")]);
        check(
            &[frame(FIN | 10, b"x"), frame(FIN | 1, b"a"), frame(FIN | 1, b"b")].concat(),
            &[Inbound::Pong, text("a"), text("b")],
        );
    }

    #[test]
    fn a_close_is_the_last_word() {
        let after = frame(FIN | 1, b"after");
        let close = |body: &[u8]| [frame(FIN | 8, body), after.clone()].concat();
        check(&close(b""), &[Inbound::Close(None)]);
        for code in [1000u16, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999] {
            check(&close(&code.to_be_bytes()), &[Inbound::Close(Some(code))]);
        }
        check(&close(b"\x03\xe8bye"), &[Inbound::Close(Some(1000))]);
        check(&close(b"\x03\xe8\xff"), &[Inbound::Fault(Fault::BadText)]);
        protocol(&close(b"\x03"));
        for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            protocol(&close(&code.to_be_bytes()));
        }
    }

    #[test]
    fn broken_framing_is_a_protocol_fault() {
        for reserved in [0x10, 0x20, 0x40, 0x70] {
            protocol(&frame(FIN | reserved | 1, b"x"));
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            protocol(&frame(FIN | opcode, b""));
        }
        for control in [8, 9, 10] {
            protocol(&frame(control, b""));
            protocol(&frame(FIN | control, &[b'x'; 126]));
        }
        protocol(&frame(FIN, b"orphan"));
        protocol(&frame(0, b"orphan"));
        protocol(&[frame(1, b"a"), frame(FIN | 1, b"b")].concat());
        protocol(&[frame(1, b"a"), frame(2, b"b")].concat());
        protocol(&[FIN | 1, 1, b'x']);
        protocol(&[announced(FIN | 1, u64::MAX), vec![0; 4]].concat());
    }

    #[test]
    fn bad_text_ends_at_its_first_wrong_byte() {
        let bad = [Inbound::Fault(Fault::BadText)];
        check(&frame(FIN | 1, b"a\xff"), &bad);
        check(&frame(FIN | 1, b"cut \xe2\x82"), &bad);
        check(&[frame(1, b"\xe2"), frame(FIN, b"\x28\xa1")].concat(), &bad);
        check(&frame(FIN | 1, b"\xed\xa0\x80"), &bad);
        // Before the rest of it has come.
        check(&frame(1, b"a\xf4\x90"), &bad);
        let mut unfinished = frame(FIN | 1, b"\xc0aaaaaaaaaa");
        unfinished.truncate(9);
        check(&unfinished, &bad);
    }

    #[test]
    fn a_message_over_the_limit_is_skipped_in_its_place() {
        let over = frame(FIN | 1, &[b'x'; 1_001]);
        let next = frame(FIN | 1, b"next");
        check(&frame(FIN | 2, &[b'x'; 1_000]), &[Inbound::Binary(vec![b'x'; 1_000].into())]);
        check(
            &[next.clone(), over.clone(), next.clone()].concat(),
            &[text("next"), Inbound::TooLarge(1_001), text("next")],
        );
        // In fragments, with a ping in between, once; the body may be anything.
        let parts =
            [frame(1, &[b'x'; 600]), frame(0, &[0xff; 600]), frame(FIN | 9, b""), frame(FIN, b"\xff"), next.clone()];
        check(&parts.concat(), &[Inbound::TooLarge(1_200), Inbound::Ping(Bytes::new()), text("next")]);
        // Not for ever: neither at once nor bit by bit.
        check(
            &announced(FIN | 2, 5_001).into_iter().chain([0; 4]).collect::<Vec<_>>(),
            &[Inbound::Fault(Fault::TooBig)],
        );
        let drip = [frame(1, &[b'x'; 1_000]), frame(0, &[b'x'; 4_000]), frame(0, b"x")].concat();
        check(&drip, &[Inbound::TooLarge(5_000), Inbound::Fault(Fault::TooBig)]);
        // Nor for a stranger.
        assert_eq!(read(&over, 64, false), [Inbound::Fault(Fault::TooBig)]);
    }

    #[test]
    fn an_announced_gigabyte_is_refused_before_its_first_byte() {
        let mut guard = Guard::new(RULES);
        let header = [announced(FIN | 2, 1 << 30), vec![0; 4]].concat();
        assert_eq!(guard.read(&mut &header[..], true), Some(Inbound::Fault(Fault::TooBig)));
        let body = vec![0; 1 << 16];
        let mut body = &body[..];
        assert_eq!(guard.read(&mut body, true), None);
        assert!(body.is_empty() && guard.message.capacity() == 0);
    }

    proptest! {
        /// Any bytes, cut anywhere: the same events, no panic, and never more kept than the limit.
        #[test]
        fn cuts_change_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in 1usize..50, trusted: bool) {
            let masked: Vec<u8> = bytes.iter().enumerate().map(|(at, byte)| if at == 1 { byte | 0x80 } else { *byte }).collect();
            prop_assert_eq!(read(&masked, cuts, trusted), read(&masked, usize::MAX, trusted));
        }
    }
}
