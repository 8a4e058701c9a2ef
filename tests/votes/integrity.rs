//! Receipts, proofs and audit records, as somebody who trusts nobody would check them.

use serde_json::json;

use super::support::run;
use super::*;
use tessera::engine::votes::audit::{self, Hash, Sibling};
use tessera::engine::votes::recount::recount;

#[test]
fn a_receipt_proves_its_ballot_and_the_audit_recounts_to_what_was_broadcast() {
    let server = server(|_, _| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut players, _) = room::<3>(&base).await;
        let vote_id =
            opened(&mut players, json!({"method": "schulze", "window_type": "ready_up", "window_ms": 30000})).await;
        let [ann, bob, cid] = &mut players;
        let receipts = [
            cast(ann, &vote_id, json!(["a", "b"])).await["receipt"].clone(),
            cast(bob, &vote_id, json!(["b"])).await["receipt"].clone(),
        ];
        let ask = |receipt: &Value| json!({"vote_id": vote_id, "receipt": receipt});
        ann.send("vote.verify", ask(&receipts[0])).await;
        let early = ann.expect("vote.proof").await["payload"].take();
        assert_eq!(
            early,
            json!({"vote_id": vote_id, "receipt": receipts[0], "closed": false}),
            "known, and no more yet"
        );
        assert_eq!(ann.refused("vote.verify", ask(&json!("0".repeat(64)))).await, "receipt_unknown");
        assert_eq!(ann.refused("vote.verify", ask(&json!("not a receipt"))).await, "receipt_unknown");
        let elsewhere = json!({"vote_id": "nowhere", "receipt": receipts[0]});
        assert_eq!(ann.refused("vote.verify", elsewhere).await, "vote_not_found");
        let audit_path = format!("/api/v1/votes/{vote_id}/audit");
        assert_eq!(http(&base, &ann.token, "GET", &audit_path, Value::Null).await.0, 404, "an open vote has no record");

        cast(cid, &vote_id, json!(["a", "c"])).await;
        let result = result(ann, &vote_id).await;
        for (receipt, voter, leaf) in
            [(&receipts[0], &ann.player, r#"["a","b"]"#), (&receipts[1], &bob.player, r#"["b"]"#)]
                .map(|(receipt, voter, ballot)| (receipt.clone(), voter.clone(), ballot))
        {
            // Right after the result, whoever asks.
            cid.send("vote.verify", ask(&receipt)).await;
            let proof = cid.expect("vote.proof").await["payload"].take();
            let text = proof["leaf"].as_str().unwrap();
            assert!(text.contains(&format!("\"ballot\":{leaf}")) && text.contains(&voter), "{text}");
            assert_eq!(json!(audit::leaf(text)), receipt, "the receipt is the hash of the leaf");
            let way: Vec<Sibling> = serde_json::from_value(proof["path"].clone()).unwrap();
            let hash = Hash::from_hex(receipt.as_str().unwrap()).unwrap();
            assert_eq!(
                json!(audit::fold(hash, &way)),
                result["ballots_root"],
                "and the way leads to the broadcast root"
            );
        }

        let (status, record) = http(&base, &bob.token, "GET", &audit_path, Value::Null).await;
        assert_eq!(status, 200, "{record}");
        let again = recount(&record).unwrap();
        assert_eq!((again.casts, again.disagrees), (3, None));
        let again = read(&again.payload);
        assert_eq!(again, result, "the record recounts to what was broadcast");
        assert!(record.contains(&again["ballots_root"].to_string()));

        let stranger = Client::new(&base, "stranger").await;
        for path in [audit_path, format!("/api/v1/votes/{vote_id}")] {
            assert_eq!(http(&base, &stranger.token, "GET", &path, Value::Null).await.0, 403, "{path}");
            assert_eq!(http(&base, "", "GET", &path, Value::Null).await.0, 401, "{path}");
        }
    });
}

/// A vetoed vote and one that was called off have records as well.
#[test]
fn votes_that_came_to_nothing_are_on_record_too() {
    let server = server(|_, mode| mode.veto_tokens_per_player = 1);
    let base = Base::from(server.addr);
    run(async move {
        let (mut players, _) = room::<2>(&base).await;
        let vetoed = opened(&mut players, json!({"template": "one", "veto_enabled": true, "window_ms": 30000})).await;
        let cancelled = opened(&mut players, json!({"template": "two", "window_ms": 30000})).await;
        let [ann, bob] = &mut players;
        cast(ann, &vetoed, "a").await;
        cast(bob, &cancelled, "b").await;
        bob.send("vote.veto", json!({"vote_id": vetoed})).await;
        ann.expect("match.vote_vetoed").await;
        let path = format!("/ops/v1/votes/{cancelled}/cancel");
        assert_eq!(http(&base, OPERATOR, "POST", &path, json!({"reason": "a test"})).await.0, 200);
        assert_eq!(result(ann, &cancelled).await["status"], "cancelled");
        for (vote_id, status, says) in
            [(&vetoed, "vetoed", bob.player.clone()), (&cancelled, "cancelled", "cancelled".into())]
        {
            let (_, shown) = http(&base, &ann.token, "GET", &format!("/api/v1/votes/{vote_id}"), Value::Null).await;
            assert_eq!(read(&shown)["status"], status, "{shown}");
            let (_, record) =
                http(&base, &ann.token, "GET", &format!("/api/v1/votes/{vote_id}/audit"), Value::Null).await;
            let again = recount(&record).unwrap_or_else(|broken| panic!("{broken} in {record}"));
            assert_eq!((again.casts, again.disagrees), (1, None));
            assert!(read(&record)["end"].to_string().contains(&says), "{record}");
        }
    });
}
