//! The core cases of the Autobahn test suite (1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8,
//! 7 closing, 9 limits, 10 misc) against `/ws/echo`, written out by hand, since the suite itself needs Python 2. A case
//! is a line; where the suite accepts a looser behaviour than the RFC's, only the RFC's passes here.
//!
//! The suite itself, with `pip install autobahntestsuite==0.8.2` under Python 2.7 and `wstest -m fuzzingclient`, is the
//! bar: 301 cases of groups 1-7, 9 and 10, none failed, none non-strict, no wrong close, limits 54 of 54.

#[macro_use]
mod raw;

use raw::{BINARY, CLOSE, FIN, PING, PONG, Raw, Seen, Server, TEXT, frame, transports};
use tessera::limits::Limits;

on_both_transports! {
    framing_1,
    pings_2,
    reserved_bits_3,
    opcodes_4,
    fragmentation_5,
    text_6,
    closing_7,
    limits_9,
    misc_10,
}

/// What a client does.
enum Do<'a> {
    Frame(u8, &'a [u8]),
    /// The same bytes, one at a time.
    Trickle(u8, &'a [u8]),
    Bytes(Vec<u8>),
}
use Do::{Bytes, Frame, Trickle};

fn server() -> Server {
    Server::start(Limits { connects_per_s: 0, ..Limits::default() })
}

/// One conversation on a new connection: after all is sent, exactly `expected` arrives. If that does not end the
/// connection, a close from us must, and must be answered in kind.
fn case(server: &Server, id: &str, steps: &[Do<'_>], expected: &[Seen]) {
    let mut raw = Raw::open(server.addr, "/ws/echo");
    for step in steps {
        // What follows the frame that ends the connection may find nobody any more.
        let _ = match step {
            Frame(first, body) => raw.try_bytes(&frame(*first, body)),
            Trickle(first, body) => frame(*first, body).iter().try_for_each(|byte| raw.try_bytes(&[*byte])),
            Bytes(bytes) => raw.try_bytes(bytes),
        };
    }
    for expected in expected {
        assert_eq!(&raw.next(), expected, "case {id}");
        if matches!(expected, Seen::Close(..)) {
            assert_eq!(raw.next(), Seen::Eof, "case {id}");
            return;
        }
    }
    raw.close(1000);
    assert_eq!(raw.next(), Seen::Close(Some(1000), String::new()), "case {id}");
    assert_eq!(raw.next(), Seen::Eof, "case {id}");
}

/// As [`case`], where the connection must end with this code after `before`.
fn fails(server: &Server, id: &str, steps: &[Do<'_>], before: &[Seen], code: u16) {
    let mut raw = Raw::open(server.addr, "/ws/echo");
    for step in steps {
        let _ = match step {
            Frame(first, body) => raw.try_bytes(&frame(*first, body)),
            Trickle(first, body) => frame(*first, body).iter().try_for_each(|byte| raw.try_bytes(&[*byte])),
            Bytes(bytes) => raw.try_bytes(bytes),
        };
    }
    for expected in before {
        assert_eq!(&raw.next(), expected, "case {id}");
    }
    let Seen::Close(seen, _) = raw.next() else { panic!("case {id}: expected a close {code}") };
    assert_eq!((seen, raw.next()), (Some(code), Seen::Eof), "case {id}");
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn pong(body: &[u8]) -> Seen {
    Seen::Pong(body.to_vec())
}

fn framing_1() {
    let server = server();
    for length in [0, 1, 2, 125, 126, 127, 128, 65_535, 65_536, 70_000] {
        let body = vec![b'*'; length];
        let said = String::from_utf8(body.clone()).expect("stars");
        case(&server, &format!("1.1 {length}"), &[Frame(FIN | TEXT, &body)], &[text(&said)]);
        let body = vec![0xfe; length];
        case(&server, &format!("1.2 {length}"), &[Frame(FIN | BINARY, &body)], &[Seen::Binary(body.clone())]);
    }
    for chop in [1usize, 997] {
        let body = vec![b'*'; 10_000];
        let bytes = frame(FIN | TEXT, &body);
        let steps: Vec<_> = bytes.chunks(chop).map(|part| Bytes(part.to_vec())).collect();
        case(&server, "1.1.8", &steps, &[text(&"*".repeat(10_000))]);
    }
}

fn pings_2() {
    let server = server();
    case(&server, "2.1", &[Frame(FIN | PING, b"")], &[pong(b"")]);
    case(&server, "2.2", &[Frame(FIN | PING, b"Hello, world!")], &[pong(b"Hello, world!")]);
    case(
        &server,
        "2.3",
        &[Frame(FIN | PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
        &[pong(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
    );
    case(&server, "2.4", &[Frame(FIN | PING, &[0xfe; 125])], &[pong(&[0xfe; 125])]);
    fails(&server, "2.5", &[Frame(FIN | PING, &[0xfe; 126])], &[], 1002);
    case(&server, "2.6", &[Trickle(FIN | PING, &[0xfe; 125])], &[pong(&[0xfe; 125])]);
    case(&server, "2.7", &[Frame(FIN | PONG, b"")], &[]);
    case(&server, "2.8", &[Frame(FIN | PONG, b"unsolicited")], &[]);
    case(&server, "2.9", &[Frame(FIN | PONG, b"unsolicited"), Frame(FIN | PING, b"ping")], &[pong(b"ping")]);
    let bodies: Vec<Vec<u8>> = (0..10).map(|n| format!("payload-{n}").into_bytes()).collect();
    let pongs: Vec<_> = bodies.iter().map(|body| pong(body)).collect();
    case(&server, "2.10", &bodies.iter().map(|body| Frame(FIN | PING, body)).collect::<Vec<_>>(), &pongs);
    case(&server, "2.11", &bodies.iter().map(|body| Trickle(FIN | PING, body)).collect::<Vec<_>>(), &pongs);
}

fn reserved_bits_3() {
    let server = server();
    let hello = text("Hello, world!");
    let good = || Frame(FIN | TEXT, b"Hello, world!");
    fails(&server, "3.1", &[Frame(FIN | 0x10 | TEXT, b"x")], &[], 1002);
    fails(
        &server,
        "3.2",
        &[good(), Frame(FIN | 0x20 | TEXT, b"x"), Frame(FIN | PING, b"")],
        std::slice::from_ref(&hello),
        1002,
    );
    fails(&server, "3.3", &[good(), Frame(FIN | 0x30 | TEXT, b"x")], std::slice::from_ref(&hello), 1002);
    fails(&server, "3.4", &[good(), Trickle(FIN | 0x40 | TEXT, b"x")], std::slice::from_ref(&hello), 1002);
    fails(&server, "3.5", &[Frame(FIN | 0x50 | BINARY, &[0xff; 8])], &[], 1002);
    fails(&server, "3.6", &[Frame(FIN | 0x60 | PING, b"x")], &[], 1002);
    fails(&server, "3.7", &[Frame(FIN | 0x70 | CLOSE, b"")], &[], 1002);
}

fn opcodes_4() {
    let server = server();
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        fails(&server, &format!("4 opcode {opcode}"), &[Frame(FIN | opcode, b"")], &[], 1002);
        fails(&server, &format!("4 opcode {opcode}"), &[Frame(FIN | opcode, b"reserved")], &[], 1002);
        let after = [Frame(FIN | TEXT, b"first"), Frame(FIN | opcode, b""), Frame(FIN | PING, b"")];
        fails(&server, &format!("4 opcode {opcode}"), &after, &[text("first")], 1002);
    }
}

fn fragmentation_5() {
    let server = server();
    let whole = text("fragment1fragment2");
    let (one, two) = (&b"fragment1"[..], &b"fragment2"[..]);
    fails(&server, "5.1", &[Frame(PING, one), Frame(FIN, two)], &[], 1002);
    fails(&server, "5.2", &[Frame(PONG, one), Frame(FIN, two)], &[], 1002);
    case(&server, "5.3", &[Frame(TEXT, one), Frame(FIN, two)], std::slice::from_ref(&whole));
    case(&server, "5.5", &[Trickle(TEXT, one), Trickle(FIN, two)], std::slice::from_ref(&whole));
    let pinged = [pong(b"ping"), whole.clone()];
    case(&server, "5.6", &[Frame(TEXT, one), Frame(FIN | PING, b"ping"), Frame(FIN, two)], &pinged);
    case(&server, "5.8", &[Trickle(TEXT, one), Trickle(FIN | PING, b"ping"), Trickle(FIN, two)], &pinged);
    fails(&server, "5.9", &[Frame(FIN, one), Frame(FIN | TEXT, two)], &[], 1002);
    fails(&server, "5.10", &[Trickle(FIN, one), Frame(FIN | TEXT, two)], &[], 1002);
    fails(&server, "5.12", &[Frame(0, one), Frame(FIN | TEXT, two)], &[], 1002);
    fails(
        &server,
        "5.15",
        &[Frame(TEXT, one), Frame(FIN, two), Frame(0, b"3"), Frame(FIN | TEXT, b"4")],
        &[whole],
        1002,
    );
    let twice = [Frame(0, b"a"), Frame(FIN | TEXT, b"b"), Frame(0, b"c"), Frame(FIN | TEXT, b"d")];
    fails(&server, "5.16", &twice, &[], 1002);
    fails(&server, "5.18", &[Frame(TEXT, one), Frame(FIN | TEXT, two)], &[], 1002);
    let long = [
        Frame(TEXT, b"fragment1"),
        Frame(0, b"fragment2"),
        Frame(FIN | PING, b"pongme 1!"),
        Frame(0, b"fragment3"),
        Frame(0, b"fragment4"),
        Frame(FIN | PING, b"pongme 2!"),
        Frame(FIN, b"fragment5"),
    ];
    let answers = [pong(b"pongme 1!"), pong(b"pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5")];
    case(&server, "5.19", &long, &answers);
}

fn text_6() {
    let server = server();
    case(&server, "6.1.1", &[Frame(FIN | TEXT, b"")], &[text("")]);
    case(&server, "6.1.2", &[Frame(TEXT, b""), Frame(0, b""), Frame(FIN, b"")], &[text("")]);
    case(&server, "6.1.3", &[Frame(TEXT, b""), Frame(0, b"middle"), Frame(FIN, b"")], &[text("middle")]);
    let said = "Hello-µ@ßöäüàá-UTF-8!!";
    case(&server, "6.2.1", &[Frame(FIN | TEXT, said.as_bytes())], &[text(said)]);
    let (left, right) = said.as_bytes().split_at(7);
    case(&server, "6.2.2", &[Frame(TEXT, left), Frame(FIN, right)], &[text(said)]);
    let octets: Vec<_> = (0..said.len())
        .map(|at| {
            let first = if at == 0 { TEXT } else { 0 } | if at + 1 == said.len() { FIN } else { 0 };
            Frame(first, &said.as_bytes()[at..=at])
        })
        .collect();
    case(&server, "6.2.3", &octets, &[text(said)]);
    let surrogate = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited";
    fails(&server, "6.3.1", &[Frame(FIN | TEXT, surrogate)], &[], 1007);
    fails(&server, "6.3.2", &[Trickle(FIN | TEXT, surrogate)], &[], 1007);
    // At the first byte that makes it wrong, though neither frame nor message is over.
    let (left, right) = (&b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"[..], &b"\xf4\x90\x80\x80"[..]);
    fails(&server, "6.4.1", &[Frame(TEXT, left), Frame(0, right)], &[], 1007);
    fails(&server, "6.4.2", &[Frame(TEXT, left), Frame(0, &right[..2])], &[], 1007);
    let mut bytes = frame(FIN | TEXT, &[left, right, b"edited"].concat());
    bytes.truncate(bytes.len() - 8);
    fails(&server, "6.4.3", &[Bytes(bytes)], &[], 1007);
    for good in [
        "κόσμε",
        "\0",
        "\u{80}",
        "\u{800}",
        "\u{10000}",
        "\u{7f}",
        "\u{7ff}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{fffd}",
        "\u{fffe}",
        "\u{1fffe}",
        "\u{10fffe}",
        "\u{feff}bom",
    ] {
        case(&server, &format!("6 {good:?}"), &[Frame(FIN | TEXT, good.as_bytes())], &[text(good)]);
        case(&server, &format!("6 {good:?}"), &[Trickle(FIN | TEXT, good.as_bytes())], &[text(good)]);
    }
    let bad: &[&[u8]] = &[
        b"\xce\xba\xe1\xbd",
        b"\xce",
        b"\xe1\xbd\xb9\xcf",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xf7\xbf\xbf\xbf",
        b"\xfb\xbf\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\xbf",
        b"\x80\xbf\x80\xbf",
        b"\xc0 \xc1 \xc2 ",
        b"\xe0 \xef ",
        b"\xf0 \xf7 ",
        b"\xf8 \xfb ",
        b"\xfc \xfd ",
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xf8\x80\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xfe",
        b"\xff",
        b"\xfe\xfe\xff\xff",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xed\xad\xbf",
        b"\xed\xae\x80",
        b"\xed\xaf\xbf",
        b"\xed\xb0\x80",
        b"\xed\xbe\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
    ];
    for bytes in bad {
        fails(&server, &format!("6 {bytes:?}"), &[Frame(FIN | TEXT, bytes)], &[], 1007);
        fails(&server, &format!("6 {bytes:?}"), &[Trickle(FIN | TEXT, bytes)], &[], 1007);
        let (left, right) = bytes.split_at(bytes.len() / 2);
        fails(&server, &format!("6 {bytes:?}"), &[Frame(TEXT, left), Frame(FIN, right)], &[], 1007);
    }
}

fn closing_7() {
    let server = server();
    let closed = |code| Seen::Close(code, String::new());
    let normal = 1000u16.to_be_bytes();
    case(
        &server,
        "7.1.1",
        &[Frame(FIN | TEXT, b"Hello"), Frame(FIN | CLOSE, &normal)],
        &[text("Hello"), closed(Some(1000))],
    );
    case(&server, "7.1.2", &[Frame(FIN | CLOSE, &normal), Frame(FIN | CLOSE, &normal)], &[closed(Some(1000))]);
    case(&server, "7.1.3", &[Frame(FIN | CLOSE, &normal), Frame(FIN | PING, b"")], &[closed(Some(1000))]);
    case(&server, "7.1.4", &[Frame(FIN | CLOSE, &normal), Frame(FIN | TEXT, b"Hello")], &[closed(Some(1000))]);
    let unfinished = [Frame(TEXT, b"fragment1"), Frame(FIN | CLOSE, &normal), Frame(FIN, b"fragment2")];
    case(&server, "7.1.5", &unfinished, &[closed(Some(1000))]);
    let big = vec![b'*'; 256 << 10];
    let said = String::from_utf8(big.clone()).expect("stars");
    let busy =
        [Frame(FIN | TEXT, &big), Frame(FIN | TEXT, b"Hello"), Frame(FIN | CLOSE, &normal), Frame(FIN | PING, b"")];
    case(&server, "7.1.6", &busy, &[text(&said), text("Hello"), closed(Some(1000))]);
    case(&server, "7.3.1", &[Frame(FIN | CLOSE, b"")], &[closed(None)]);
    fails(&server, "7.3.2", &[Frame(FIN | CLOSE, b"a")], &[], 1002);
    case(&server, "7.3.3", &[Frame(FIN | CLOSE, &normal)], &[closed(Some(1000))]);
    case(&server, "7.3.4", &[Frame(FIN | CLOSE, b"\x03\xe8Hello World!")], &[closed(Some(1000))]);
    case(&server, "7.3.5", &[Frame(FIN | CLOSE, &[&normal[..], &[b'*'; 123]].concat())], &[closed(Some(1000))]);
    fails(&server, "7.3.6", &[Frame(FIN | CLOSE, &[&normal[..], &[b'*'; 124]].concat())], &[], 1002);
    fails(&server, "7.5.1", &[Frame(FIN | CLOSE, b"\x03\xe8\xce\xba\xe1\xbd\xb9\xed\xa0\x80")], &[], 1007);
    for code in [1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        case(&server, &format!("7.7 {code}"), &[Frame(FIN | CLOSE, &code.to_be_bytes())], &[closed(Some(code))]);
    }
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        fails(&server, &format!("7.9 {code}"), &[Frame(FIN | CLOSE, &code.to_be_bytes())], &[], 1002);
        let reasoned = [&code.to_be_bytes()[..], b"reason"].concat();
        fails(&server, &format!("7.9 {code}"), &[Frame(FIN | CLOSE, &reasoned)], &[], 1002);
    }
}

fn limits_9() {
    let server = server();
    for size in [64 << 10, 1 << 20, 16 << 20] {
        for (kind, byte) in [(TEXT, b'*'), (BINARY, 0xfe)] {
            exchange(&server, &format!("9.1/9.2 {size}"), kind, &vec![byte; size], size);
        }
    }
    for fragment in [64, 4 << 10, 256 << 10] {
        for (kind, byte) in [(TEXT, b'*'), (BINARY, 0xfe)] {
            exchange(&server, &format!("9.3/9.4 {fragment}"), kind, &vec![byte; 2 << 20], fragment);
        }
    }
    for chop in [64, 2_048] {
        for (kind, byte) in [(TEXT, b'*'), (BINARY, 0xfe)] {
            chopped(&server, &format!("9.5/9.6 {chop}"), kind, &vec![byte; 256 << 10], chop);
        }
    }
    for size in [0, 64, 4_096] {
        for (kind, byte) in [(TEXT, b'*'), (BINARY, 0xfe)] {
            round_trips(&server, &format!("9.7/9.8 {size}"), kind, &vec![byte; size]);
        }
    }
}

/// One message in fragments of at most `fragment` bytes, sent while the echo is read.
fn exchange(server: &Server, id: &str, kind: u8, body: &[u8], fragment: usize) {
    let parts = body.chunks(fragment).count();
    let bytes: Vec<u8> = body
        .chunks(fragment)
        .enumerate()
        .flat_map(|(at, part)| frame(if at == 0 { kind } else { 0 } | if at + 1 == parts { FIN } else { 0 }, part))
        .collect();
    chopped_bytes(server, id, &bytes, bytes.len(), body);
}

/// One message in one frame, written in pieces of `chop` bytes.
fn chopped(server: &Server, id: &str, kind: u8, body: &[u8], chop: usize) {
    chopped_bytes(server, id, &frame(FIN | kind, body), chop, body);
}

fn chopped_bytes(server: &Server, id: &str, bytes: &[u8], chop: usize, body: &[u8]) {
    let mut raw = Raw::open(server.addr, "/ws/echo");
    for part in bytes.chunks(chop) {
        raw.bytes(part);
    }
    expect_body(&mut raw, id, body);
}

fn round_trips(server: &Server, id: &str, kind: u8, body: &[u8]) {
    let mut raw = Raw::open(server.addr, "/ws/echo");
    for _ in 0..200 {
        raw.frame(FIN | kind, body);
        expect_body(&mut raw, id, body);
    }
}

fn expect_body(raw: &mut Raw, id: &str, body: &[u8]) {
    let same = match raw.next() {
        Seen::Text(text) => text.as_bytes() == body,
        Seen::Binary(bytes) => bytes == body,
        other => panic!("case {id}: {other:?}"),
    };
    assert!(same, "case {id}: the echo differs");
}

fn misc_10() {
    let server = server();
    exchange(&server, "10.1.1", TEXT, &vec![b'*'; 65_536], 1_300);
    // One byte over what /ws/echo takes, refused at its header.
    let announced = raw::header(FIN | BINARY, (16 << 20) + 1, [0; 4]);
    fails(&server, "over 16 MiB", &[Bytes(announced)], &[], 1009);
    let unmasked = vec![FIN | TEXT, 5, b'h', b'e', b'l', b'l', b'o'];
    fails(&server, "unmasked", &[Bytes(unmasked)], &[], 1002);
}
