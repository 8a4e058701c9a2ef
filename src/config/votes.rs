//! Votes in a configuration: templates, motions and what modes open by themselves. What a vote's keys mean is for
//! `engine::votes` to say; here they get their lines, and their place in the schema.

use serde_json::{Value as Json, json};

use crate::engine::votes::config::{Fault as VoteFault, VoteConfig};

use super::{Config, Fault, Origins, VoteKeys};

/// Gives the schema of a configuration the keys of a vote, wherever a vote may stand.
///
/// A key that may be written in one way only keeps its type; the others (`options`, `tie_break`, `weights` and their
/// kind) keep their description alone, since reading them is more forgiving than a schema can say.
pub(super) fn describe(schema: &mut Json) {
    let vote = schemars::schema_for!(VoteConfig).to_value();
    let mut keys = vote["properties"].clone();
    for key in keys.as_object_mut().into_iter().flat_map(|keys| keys.values_mut()) {
        let plain = matches!(key["type"].as_str(), Some("integer" | "boolean" | "string")) || key["$ref"].is_string();
        if !plain {
            *key = json!({"description": key["description"], "default": key["default"]});
        }
    }
    // `template` is what a template is for, and options may come with the vote: no key of a vote is a must here.
    let whole = json!({"type": "object", "properties": keys, "additionalProperties": false});
    let (Some(defs), Some(more)) = (schema["$defs"].as_object_mut(), vote["$defs"].as_object()) else { return };
    for (name, def) in more {
        defs.entry(name.clone()).or_insert_with(|| def.clone());
    }
    defs.insert("VoteKeys".into(), whole.clone());
    if let Some(scheduled) = defs.get_mut("ScheduledVote") {
        let when = scheduled["properties"]["when"].take();
        scheduled["properties"] = whole["properties"].clone();
        scheduled["properties"]["when"] = when;
        scheduled["additionalProperties"] = json!(false);
    }
    for section in ["vote_templates", "motions"] {
        schema["properties"][section]["additionalProperties"] = json!({"$ref": "#/$defs/VoteKeys"});
    }
}

/// Every fault of every vote in a configuration.
pub(super) fn check(config: &Config, origins: &Origins, faults: &mut Vec<Fault>) {
    let mut told = |path: String, message: String| {
        let fault = Fault { origin: origins.of(&path), path, message };
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    };
    let only_once = "a vote_id names one vote and rules are for many: leave it out, each vote gets an id of its own";
    for (name, keys) in &config.vote_templates {
        for VoteFault { path, message } in VoteConfig::check_template(keys) {
            told(inside(&format!("vote_templates.{name}"), &path), message);
        }
        if keys.contains_key("vote_id") {
            told(format!("vote_templates.{name}.vote_id"), only_once.into());
        }
    }
    for (name, keys) in &config.motions {
        let mut keys = keys.clone();
        keys.entry("method").or_insert_with(|| "motion".into());
        for VoteFault { path, message } in VoteConfig::check_template(&keys) {
            told(inside(&format!("motions.{name}"), &path), message);
        }
        if keys.contains_key("vote_id") {
            told(format!("motions.{name}.vote_id"), only_once.into());
        }
    }
    for (name, mode) in &config.modes {
        for (at, scheduled) in mode.votes.iter().enumerate() {
            let call = &scheduled.vote;
            if call.contains_key("vote_id") {
                told(format!("modes.{name}.votes[{at}].vote_id"), only_once.into());
            }
            for VoteFault { path, message } in
                VoteConfig::from_map(call, &config.vote_templates).err().unwrap_or_default()
            {
                // What is wrong in the template is said where the template is, once.
                let home = match template_with(config, call, &path) {
                    Some(template) => format!("vote_templates.{template}"),
                    None => format!("modes.{name}.votes[{at}]"),
                };
                told(inside(&home, &path), message);
            }
        }
    }
}

/// The template that a fault's key came from, when the call itself does not say it.
fn template_with<'c>(config: &'c Config, call: &VoteKeys, path: &str) -> Option<&'c str> {
    let key = path.split(['.', '[']).next().unwrap_or(path);
    let (name, keys) = config.vote_templates.get_key_value(call.get("template")?.as_str()?)?;
    (!call.contains_key(key) && keys.contains_key(key)).then_some(name)
}

fn inside(home: &str, path: &str) -> String {
    if path.is_empty() { home.to_owned() } else { format!("{home}.{path}") }
}
