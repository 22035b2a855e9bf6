//! The `il` program: all of it lives in the library.

fn main() -> std::process::ExitCode {
    intentloop::main()
}
