//! The `tessera` program: arguments in, exit code out. Everything else is in the library.

fn main() -> std::process::ExitCode {
    tessera::cli::main(std::env::args_os())
}
