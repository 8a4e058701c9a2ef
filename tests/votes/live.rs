//! Live tallies: soon, seldom, and the same function as the result.

use std::time::Instant;

use serde_json::json;

use super::support::run;
use super::*;
use tessera::engine::votes::coalesce::TALLY_INTERVAL_MS;

#[test]
fn the_first_ballot_after_quiet_is_told_at_once_and_a_burst_is_one_tally() {
    let server = server(|_, _| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut players, _) = room::<8>(&base).await;
        let vote_id =
            opened(&mut players, json!({"method": "ranked", "window_type": "ready_up", "window_ms": 30000})).await;
        let (watcher, casters) = players.split_last_mut().unwrap();
        cast(&mut casters[0], &vote_id, json!(["a", "b"])).await;
        let first = watcher.expect("match.vote_tally").await["payload"].take();
        assert_eq!((&first["total_votes"], &first["tallies"]), (&json!(1), &json!({"a": 1, "b": 0, "c": 0})));
        assert_eq!(first["leading"], "a");
        assert_eq!(first["rounds"][0]["elected"], json!(["a"]), "how the rounds stand: {first}");

        let began = Instant::now();
        for (n, caster) in casters.iter_mut().enumerate().skip(1) {
            cast(caster, &vote_id, if n < 4 { json!(["b", "c"]) } else { json!(["c", "b"]) }).await;
        }
        let last = watcher.expect_where("match.vote_tally", |tally| tally["total_votes"] == 7).await["payload"].take();
        let intervals = began.elapsed().as_millis() as u64 / TALLY_INTERVAL_MS + 1;
        let between = watcher.heard_of("match.vote_tally").await.len() as u64;
        assert!(between < intervals.min(6), "{between} tallies beside the last in {intervals} intervals for 6 ballots");
        assert_eq!(last["tallies"], json!({"a": 1, "b": 3, "c": 3}));
        let [one, two] = [&last["rounds"][0], &last["rounds"][1]];
        assert_eq!((&one["tally"], &one["eliminated"]), (&json!({"a": 1, "b": 3, "c": 3}), &json!(["a"])));
        assert_eq!((&two["tally"], &two["elected"]), (&json!({"a": null, "b": 4, "c": 3}), &json!(["b"])));

        cast(watcher, &vote_id, json!(["b"])).await;
        let result = result(watcher, &vote_id).await;
        assert_eq!(result["rounds"][0]["tally"], json!({"a": 1, "b": 4, "c": 3}), "half of eight is no majority");
        assert_eq!(result["rounds"][1]["tally"], json!({"a": null, "b": 5, "c": 3}));
        assert_eq!(result["winner"], "b");
    });
}
