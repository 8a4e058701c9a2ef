//! Each expectation of a scenario turned round: what is seen must not be, what must not be is awaited, an answer is
//! another. A scenario that still holds then has an expectation that says nothing.

use super::file::{Frame, Frames, Scenario, Step};

/// The scenario once for each of its expectations, with that one turned round, and where that was.
pub fn each_way(scenario: &Scenario) -> Vec<(String, Scenario)> {
    let mut ways = Vec::new();
    for at in 0..scenario.steps.len() {
        for (what, step) in turned(&scenario.steps[at]) {
            let mut other = scenario.clone();
            other.steps[at] = step;
            ways.push((format!("step {}: {what}", at + 1), other));
        }
    }
    for (at, never) in scenario.never.iter().enumerate() {
        // What nobody may see is awaited by everybody it is forbidden to.
        let who = match never.who.list().is_empty() {
            true => super::file::Names::Many(scenario.players.iter().map(|player| player.table().name).collect()),
            false => never.who.clone(),
        };
        let mut other = scenario.clone();
        other.never.remove(at);
        other.steps.push(Step { who, sees: Frames::One(never.frame.clone()), within_ms: 300, ..blank() });
        ways.push((format!("never {}", at + 1), other));
    }
    ways
}

fn turned(step: &Step) -> Vec<(String, Step)> {
    let mut ways = Vec::new();
    if let Some(reply) = &step.reply {
        let other = Frame { kind: another(&reply.kind), ..reply.clone() };
        ways.push(("reply".into(), Step { reply: Some(other), ..step.clone() }));
        if !reply.payload.is_null() {
            // The type is right and the payload cannot be: no payload of ours holds this.
            let other = Frame { payload: serde_json::json!({"no such key": "*"}), ..reply.clone() };
            ways.push(("payload of the reply".into(), Step { reply: Some(other), ..step.clone() }));
        }
    }
    if let Some(http) = &step.http {
        let mut other = http.clone();
        other.status += 1;
        ways.push(("status".into(), Step { http: Some(other), ..step.clone() }));
    }
    let sees: Vec<Frame> = step.sees.list().into_iter().cloned().collect();
    for (at, frame) in sees.iter().enumerate() {
        let mut rest = sees.clone();
        rest.remove(at);
        let mut never: Vec<Frame> = step.never.list().into_iter().cloned().collect();
        never.push(frame.clone());
        let turned = Step {
            sees: Frames::Many(rest),
            never: Frames::Many(never),
            ever: true,
            // Seeing it ends the step, so to wait longer costs nothing; on a busy machine it may come late.
            for_ms: step.within_ms.saturating_mul(3),
            save: Default::default(),
            ..step.clone()
        };
        ways.push((format!("sees {} {}", at + 1, frame.kind), turned));
    }
    let never: Vec<Frame> = step.never.list().into_iter().cloned().collect();
    for (at, frame) in never.iter().enumerate() {
        let mut rest = never.clone();
        rest.remove(at);
        let mut seen = sees.clone();
        seen.push(frame.clone());
        let turned = Step {
            never: Frames::Many(rest),
            sees: Frames::Many(seen),
            fresh: true,
            within_ms: step.for_ms,
            save: Default::default(),
            ..step.clone()
        };
        ways.push((format!("never {} {}", at + 1, frame.kind), turned));
    }
    if let Some(code) = step.closes {
        ways.push(("closes".into(), Step { closes: Some(code + 1), ..step.clone() }));
    }
    ways
}

fn another(kind: &str) -> String {
    if kind == "error" { "session.heartbeat".into() } else { "error".into() }
}

fn blank() -> Step {
    Step { repeat: 1, ..Step::default() }
}
