//! Every file under `scenarios/` holds on a server of its own, and stops holding when any one of its expectations is
//! turned round: an expectation that cannot fail says nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream;
use tessera::cli::scenario::on_its_own_server;
use tessera::scenario::{Scenario, invert};

/// One test at a time: each of them fills the machine with servers.
static TURN: Mutex<()> = Mutex::new(());

/// Servers that run at once: scenarios mostly wait, so more than there are cores.
const AT_ONCE: usize = 24;

/// Every file in `scenarios/` and the folders in it that names the schema of scenarios in its first line.
fn files() -> Vec<PathBuf> {
    let mut folders = vec![folder()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "toml") {
                let text = fs::read_to_string(&path).unwrap();
                if text.lines().next().is_some_and(|first| first.ends_with("scenario.schema.json")) {
                    files.push(path);
                }
            }
        }
    }
    files.sort();
    files
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn scenarios() -> Vec<(String, Scenario)> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let scenario = Scenario::read(&fs::read_to_string(path).unwrap());
        (name.clone(), scenario.unwrap_or_else(|faults| panic!("{name}: {faults:?}")))
    };
    files().iter().map(read).collect()
}

/// A scenario that was turned round, if it holds on a server of its own.
async fn holds(turned: &(String, Scenario)) -> Option<&(String, Scenario)> {
    let (name, scenario) = turned;
    let account = on_its_own_server(scenario, name).await;
    // One that did not even begin shows nothing.
    assert!(account.failed().is_none_or(|step| step.number > 0), "{account}");
    account.held().then_some(turned)
}

#[test]
fn every_scenario_holds() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let scenarios = scenarios();
    assert!(scenarios.len() >= 15, "there are {} scenarios", scenarios.len());
    let accounts = actix_rt::System::new().block_on(async {
        stream::iter(&scenarios)
            .map(|(name, scenario)| on_its_own_server(scenario, name))
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await
    });
    let failed: Vec<_> = accounts.iter().filter(|account| !account.held()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn no_scenario_holds_when_an_expectation_is_turned_round() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let turned: Vec<(String, Scenario)> = scenarios()
        .iter()
        .flat_map(|(name, scenario)| {
            let ways = invert::each_way(scenario);
            assert!(!ways.is_empty(), "{name} expects nothing");
            ways.into_iter().map(move |(what, other)| (format!("{name}, {what}"), other))
        })
        .collect();
    let still_hold = actix_rt::System::new().block_on(async {
        let crowded: Vec<_> =
            stream::iter(&turned).map(holds).buffer_unordered(AT_ONCE).flat_map(stream::iter).collect().await;
        // One failure is all it takes to show that an expectation says something. What held among two dozen servers
        // may have held because a frame came late there, so each of those is asked again by itself.
        stream::iter(crowded).then(holds).flat_map(stream::iter).collect::<Vec<_>>().await
    });
    let still_hold: Vec<_> = still_hold.into_iter().map(|(name, _)| name).collect();
    assert!(still_hold.is_empty(), "these hold either way:\n{still_hold:#?}");
}

/// Editors find the schema beside the files.
#[test]
fn the_schema_beside_the_files_is_the_one_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scenario.schema.json");
    let wanted = format!("{:#}\n", Scenario::schema());
    if std::env::var_os("TESSERA_BLESS").is_some() {
        fs::write(&file, &wanted).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "run TESSERA_BLESS=1 cargo test --test scenarios");
}
