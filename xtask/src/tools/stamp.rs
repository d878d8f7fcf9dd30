//! Stamps: a small file beside a built program that says what it was made from,
//! so that a change of version, checksum or build flag makes it again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Whether the program is there and was made from what the stamp says.
pub(super) fn is_current(program: &Path, stamp: &str) -> bool {
    program.is_file() && fs::read_to_string(beside(program)).is_ok_and(|found| found == stamp)
}

/// Says what the program was made from.
pub(super) fn write(program: &Path, stamp: &str) -> Result<()> {
    let path = beside(program);
    fs::write(&path, stamp).with_context(|| format!("cannot write {}", path.display()))
}

fn beside(program: &Path) -> PathBuf {
    program.with_extension("stamp")
}

/// FNV-1a over all parts and their bounds. Not the standard library's hasher,
/// whose values may differ from one release of Rust to the next.
pub(super) fn digest(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_stamp_beside_a_program_is_current() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("tool");
        write(&program, "v1").unwrap();
        assert!(!is_current(&program, "v1"), "there is no program");
        fs::write(&program, "").unwrap();
        assert!(is_current(&program, "v1"));
        assert!(!is_current(&program, "v2"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_digest_sees_every_byte_and_bound() {
        assert_eq!(digest(&["a"]), digest(&["a"]));
        assert_ne!(digest(&["a"]), digest(&["b"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }
}
