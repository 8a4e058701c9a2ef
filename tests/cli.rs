//! The program from outside: what it prints where, and with which exit code.

use std::process::{Command, Output};

fn tessera(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera")).args(args).output().expect("the program starts")
}

#[test]
fn a_wrong_command_line_exits_2_and_says_so_on_stderr() {
    for args in [&[][..], &["no-such-command"], &["--no-such-flag"]] {
        let out = tessera(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(out.stdout.is_empty(), "{args:?}");
        assert!(!out.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout_and_exit_0() {
    let help = tessera(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("match and vote server"));
    let version = tessera(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("tessera {}\n", env!("CARGO_PKG_VERSION")));
}
