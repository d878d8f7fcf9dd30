//! valgrind's callgrind around a program.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Where the program's allocator begins (jemalloc, as `tikv-jemallocator` calls it).
const ALLOCATE: [&str; 6] = [
    "_rjem_malloc",
    "_rjem_calloc",
    "_rjem_mallocx",
    "_rjem_realloc",
    "_rjem_rallocx",
    "_rjem_aligned_alloc",
];

/// valgrind around a program, or around `only` a function of it; what it counts
/// comes on its standard error, and who called whom goes into the file `calls`.
pub fn around(program: &Path, only: Option<&str>, calls: Option<&Path>) -> Command {
    let calls = calls.unwrap_or(Path::new("/dev/null"));
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", calls.display()))
        .args(only.map(|function| format!("--toggle-collect=*{function}*")))
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// The count of instructions in valgrind's last words.
pub fn count(child: Child) -> Result<u64> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = line.with_context(|| format!("valgrind counted nothing: {text}"))?;
    Ok(count.trim().parse()?)
}

/// How often memory was asked for, by what is written in a file of calls.
///
/// # Errors
/// It has none: the allocator has other names now.
pub fn allocations(calls: &str) -> Result<u64> {
    let mut allocators: HashSet<&str> = HashSet::new();
    let (mut callee, mut count) = ("", 0);
    for line in calls.lines() {
        // A name stands behind its number once, then the number alone.
        if let Some(function) = line.strip_prefix("cfn=").or(line.strip_prefix("fn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if ALLOCATE.contains(&name) {
                allocators.insert(number);
            }
            callee = number;
        } else if let Some(calls) = line.strip_prefix("calls=")
            && allocators.contains(callee)
        {
            count += calls.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    ensure!(count > 0, "the program never called {}", ALLOCATE.join(", "));
    Ok(count)
}
