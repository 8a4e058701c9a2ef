//! # audit/1: how a vote proves what it counted
//!
//! Written down before it was coded; a change to any byte of it is `audit/2`.
//!
//! **Canonical JSON.** Objects with their keys sorted by their bytes, no whitespace, no floats; strings escaped as
//! `serde_json` escapes them. It is what is hashed, never what is shown.
//!
//! **Hashes** are SHA-256, written as 64 lowercase hex digits, and begin with one byte that says what is hashed:
//!
//! | what | bytes |
//! |---|---|
//! | leaf | `00` + canonical JSON of the cast |
//! | node | `01` + left hash + right hash |
//! | sealed ballot | `02` + salt (32 bytes) + canonical JSON of the ballot |
//! | salt of cast `seq` | `03` + the vote's secret (32 bytes) + `seq` (8 bytes, big endian) |
//! | eligible list | `04` + canonical JSON of the list of ids, sorted |
//!
//! The commitment to the seed is the one hash without a prefix: SHA-256 of the 32 bytes of the seed. It is announced
//! when the vote opens, the seed when it closes.
//!
//! **Leaves.** Every accepted cast is a leaf, in order, revotes included:
//! `{"ballot":B,"revision":R,"seq":N,"vote_id":V,"voter":P}` with `seq` from 0, `revision` from 1, and the ballot in the
//! shape a client casts it (a string, a list, a map from option to score, null when blank). In a `secret` vote
//! `"ballot"` is `"sealed"` in its stead, the sealed ballot's hash: the salt comes from a secret that is forgotten at
//! the close, so nobody can try ballots until one fits. The cast's receipt is its leaf's hash.
//!
//! **Root.** The Merkle tree hash of RFC 6962: no leaf is SHA-256 of nothing; one leaf is itself; of more, the left
//! subtree holds the largest power of two smaller than their number. `ballots_root` is in the result.
//!
//! **Proof.** A receipt with the hashes of the siblings on its way up, each with its side. Whoever folds them into the
//! receipt from the first to the last has the root.
//!
//! **Record.** See [`super::record`]: everything that the broadcast result is derived from, and the result.
//!
//! What is not claimed: no resistance to coercion (a receipt of an open ballot shows it), no secrecy from the server,
//! and with fewer than three voters any tally reveals ballots.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ids::{PlayerId, VoteId};

/// The name of this format.
pub const FORMAT: &str = "tessera/audit/1";

const LEAF: u8 = 0;
const NODE: u8 = 1;
const SEALED: u8 = 2;
const SALT: u8 = 3;
const ELIGIBLE: u8 = 4;

/// A SHA-256 hash, or 32 bytes of a seed; hex wherever people or files see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Reads 64 lowercase hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let bytes: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut hash = [0; 32];
        for (into, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
            *into = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("expected 64 lowercase hex digits"))
    }
}

/// What is announced instead of the seed while the vote is open.
pub fn seed_commit(seed: &Hash) -> Hash {
    Hash::of(&[&seed.0])
}

/// The hash of who may vote, whatever order they are listed in.
pub fn eligible_hash(players: &[PlayerId]) -> Hash {
    let mut ids: Vec<String> = players.iter().map(PlayerId::to_string).collect();
    ids.sort_unstable();
    Hash::of(&[&[ELIGIBLE], canonical(&Value::from(ids)).as_bytes()])
}

/// The canonical text of a cast's leaf. `ballot` is the ballot, or the hash of [`seal`] for a secret vote.
pub fn leaf_text(vote_id: &VoteId, seq: u64, voter: PlayerId, revision: u32, ballot: &LeafBallot) -> String {
    let (key, said) = match ballot {
        LeafBallot::Open(ballot) => ("ballot", ballot.clone()),
        LeafBallot::Sealed(hash) => ("sealed", Value::from(hash.to_string())),
    };
    canonical(&serde_json::json!({
        key: said,
        "revision": revision,
        "seq": seq,
        "vote_id": vote_id.as_str(),
        "voter": voter.to_string(),
    }))
}

/// What a leaf holds of a ballot.
#[derive(Debug, Clone, PartialEq)]
pub enum LeafBallot {
    /// The ballot as JSON.
    Open(Value),
    /// Its salted hash.
    Sealed(Hash),
}

/// The salted hash of the ballot of cast `seq`; `secret` is the vote's and is forgotten at the close.
pub fn seal(secret: &Hash, seq: u64, ballot: &Value) -> Hash {
    let salt = Hash::of(&[&[SALT], &secret.0, &seq.to_be_bytes()]);
    Hash::of(&[&[SEALED], &salt.0, canonical(ballot).as_bytes()])
}

/// A leaf's hash: the receipt.
pub fn leaf(text: &str) -> Hash {
    Hash::of(&[&[LEAF], text.as_bytes()])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Hash::of(&[&[NODE], &left.0, &right.0])
}

/// The leaves of a vote and the nodes above them, hashed as they come: closing a vote of a thousand casts then costs
/// a dozen hashes, and so does a proof.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// `levels[0]` are the leaves; above, one node for each whole pair below. A node without a sibling is its own
    /// parent, which is the tree of RFC 6962, looked at level by level.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over `leaves`.
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }

    /// One more leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut up = leaf;
        for height in 0.. {
            if self.levels.len() == height {
                self.levels.push(Vec::new());
            }
            let level = &mut self.levels[height];
            level.push(up);
            match level.len() {
                even if even % 2 == 0 => up = node(&level[even - 2], &level[even - 1]),
                _ => return,
            }
        }
    }

    /// The leaves, in order.
    pub fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// The root.
    pub fn root(&self) -> Hash {
        match self.leaves().len() {
            0 => Hash::of(&[]),
            len => fold(self.levels[0][len - 1], &self.path(len - 1).unwrap_or_default()),
        }
    }

    /// The way from the leaf at `index` to the root; `None` when there is no such leaf.
    pub fn path(&self, index: usize) -> Option<Vec<Sibling>> {
        let leaves = self.leaves().len();
        if index >= leaves {
            return None;
        }
        let mut way = Vec::new();
        let (mut at, mut len) = (index, leaves);
        // What stands at the ragged right end of each level, where it is not a whole pair's node.
        let mut ragged = None;
        for level in &self.levels {
            let here = |at: usize| level.get(at).copied().or(if at + 1 == len { ragged } else { None });
            if at % 2 == 1 {
                way.extend(here(at - 1).map(|hash| Sibling { side: Side::Left, hash }));
            } else if at + 1 < len {
                way.extend(here(at + 1).map(|hash| Sibling { side: Side::Right, hash }));
            }
            let last = here(len - 1);
            ragged = match (len % 2, last) {
                (1, last) => last,
                (_, Some(last)) => here(len - 2).map(|before| node(&before, &last)),
                (_, None) => None,
            };
            at /= 2;
            len = len.div_ceil(2);
        }
        Some(way)
    }
}

/// On which side of the way up a sibling stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It is hashed before what was folded so far.
    Left,
    /// After.
    Right,
}

/// One sibling on the way from a leaf to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sibling {
    /// Its side.
    pub side: Side,
    /// Its hash.
    pub hash: Hash,
}

/// Folds a way into a receipt: the root, when both are true.
pub fn fold(receipt: Hash, way: &[Sibling]) -> Hash {
    way.iter().fold(receipt, |at, sibling| match sibling.side {
        Side::Left => node(&sibling.hash, &at),
        Side::Right => node(&at, &sibling.hash),
    })
}

/// Canonical JSON. Floats have no canonical form here and become null: nothing that is hashed holds one.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(list) => {
            out.push('[');
            for (i, entry) in list.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(entry, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            // Sorted here rather than trusted: another crate may switch serde_json to insertion order.
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(&map[key], out);
            }
            out.push('}');
        }
        Value::Number(number) if number.is_f64() => out.push_str("null"),
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 6962 as it is written: the left subtree holds the largest power of two that is smaller.
    fn root_as_written(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of(&[]),
            [alone] => *alone,
            many => {
                let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                node(&root_as_written(left), &root_as_written(right))
            }
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_proves_itself_and_nothing_else() {
        let mut tree = Tree::default();
        for n in 0..70usize {
            let root = tree.root();
            assert_eq!(root, root_as_written(tree.leaves()), "{n} leaves");
            for (i, receipt) in tree.leaves().iter().enumerate() {
                let way = tree.path(i).unwrap();
                assert_eq!(fold(*receipt, &way), root, "{i} of {n}");
                assert_ne!(fold(leaf("stranger"), &way), root, "{i} of {n}");
                assert!(way.len() <= 7);
            }
            assert_eq!(tree.path(n), None);
            tree.push(leaf(&n.to_string()));
        }
    }

    #[test]
    fn hashes_are_the_ones_written_down() {
        // SHA-256 of nothing, of 32 zero bytes, and of 00 + "x", by any other tool.
        assert_eq!(
            Tree::default().root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            seed_commit(&Hash([0; 32])).to_string(),
            "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
        );
        let by_hand: [u8; 32] = Sha256::digest(b"\x00x").into();
        assert_eq!(leaf("x"), Hash(by_hand));
        let (a, b) = (leaf("a"), leaf("b"));
        let by_hand: [u8; 32] = Sha256::digest([&[1u8][..], &a.0, &b.0].concat()).into();
        assert_eq!(Tree::of([a, b]).root(), Hash(by_hand));
    }

    #[test]
    fn canonical_json_has_one_form() {
        let value = json!({"b": [1, "é\n", null, true], "a": {"z": -1, "y": {}}});
        assert_eq!(canonical(&value), r#"{"a":{"y":{},"z":-1},"b":[1,"é\n",null,true]}"#);
    }

    #[test]
    fn hex_reads_back_and_nothing_else_reads() {
        let hash = leaf("x");
        assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
        for bad in ["", "00", &"g".repeat(64), &hash.to_string().to_uppercase(), &"é".repeat(32)] {
            assert_eq!(Hash::from_hex(bad), None, "{bad}");
        }
    }
}
