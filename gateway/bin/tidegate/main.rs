//! The `tidegate` program: puts the controller and the gateway together, and
//! offers the same code as offline tools.

mod check;
mod cli;
mod demo;
#[cfg(test)]
mod docs;
mod explain;
mod flags;
mod logging;
mod options;
mod ports;
mod process;
mod run;
mod schema;
mod source;
mod threads;

use std::process::ExitCode;

/// Gives memory back: the gateway holds tens of thousands of connections at one
/// moment and few at the next.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bad usage, unreadable input, or no start.
const EXIT_ERROR: u8 = 2;

fn main() -> ExitCode {
    let args = cli::normalise(std::env::args_os().collect());
    match cli::run(args) {
        Ok(code) => code,
        Err(error) => {
            // One line: what was tried, then the reasons behind it.
            cli::complain(&format!("error: {error:#}"));
            ExitCode::from(EXIT_ERROR)
        }
    }
}
