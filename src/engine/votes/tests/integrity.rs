//! Receipts, roots and proofs of votes in play.

use super::*;
use crate::engine::votes::audit;
use crate::engine::votes::record::AuditRecord;

#[test]
fn every_receipt_of_a_closed_vote_has_a_proof_that_ends_in_the_broadcast_root() {
    let mut play = Play::open(abc(json!({})), 5);
    let receipts: Vec<Hash> = [(1, "a"), (2, "b"), (1, "b"), (3, "c"), (4, "a")]
        .map(|(player, cast)| play.cast(player, cast).unwrap().receipt)
        .to_vec();
    let early = play.vote.verify(receipts[0]).unwrap();
    assert_eq!(
        (early.closed, early.index, early.path),
        (false, None, None),
        "known, and no more is said while it is open"
    );
    let result = play.result();
    for (at, receipt) in receipts.iter().enumerate() {
        let proof = play.vote.verify(*receipt).unwrap();
        assert_eq!(proof.index, Some(at as u64));
        assert_eq!(audit::leaf(proof.leaf.as_ref().unwrap()), *receipt, "the leaf is what the receipt is a hash of");
        let root = audit::fold(*receipt, proof.path.as_ref().unwrap());
        assert_eq!(result["ballots_root"], hex(root));
    }
    assert_eq!(play.vote.verify(Hash([0; 32])), None);
    let record = play.closed().record.write().to_json();
    for receipt in receipts {
        assert_eq!(AuditRecord::prove(&record, receipt), play.vote.verify(receipt), "the record proves the same");
    }
    assert_eq!(AuditRecord::prove(&record, Hash([0; 32])), None);
    assert_eq!(AuditRecord::prove("{}", Hash([0; 32])), None);
}

#[test]
fn a_leaf_is_the_text_that_was_written_down() {
    let mut play = Play::open(abc(json!({})), 2);
    let receipt = play.cast(1, "a").unwrap().receipt;
    play.close();
    let leaf = play.vote.verify(receipt).unwrap().leaf.unwrap();
    let player = id(1);
    assert_eq!(leaf, format!(r#"{{"ballot":"a","revision":1,"seq":0,"vote_id":"v1","voter":"{player}"}}"#));
}

#[test]
fn the_seed_is_the_one_that_was_committed_to() {
    let mut play = Play::open(abc(json!({})), 2);
    let Some(VoteEffect::Started(start)) = play.said.first().cloned() else { panic!("expected a start") };
    let closed = play.close();
    assert_eq!(audit::seed_commit(&closed.result.seed), start.seed_commit);
    assert_eq!(closed.record.write().seed_commit, start.seed_commit);
}
