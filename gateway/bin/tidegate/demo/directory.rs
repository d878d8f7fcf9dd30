//! The demo's objects: those of a checkout, or a copy of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::BACKEND_PORT;

/// Where a checkout has them.
const CHECKOUT: &str = "conf/demo";

/// The files of `conf/demo`.
const FILES: [(&str, &str); 3] = [
    ("ingress.yaml", include_str!("../../../../conf/demo/ingress.yaml")),
    (
        "ingress-class.yaml",
        include_str!("../../../../conf/demo/ingress-class.yaml"),
    ),
    ("service.yaml", include_str!("../../../../conf/demo/service.yaml")),
];

/// The directory to serve; a copy is removed when this is dropped.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    is_copy: bool,
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.is_copy {
            // What is left behind does no harm.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The directory asked for, that of a checkout, or a copy.
pub(super) fn find(wanted: Option<&Path>, backend_port: u16) -> anyhow::Result<Directory> {
    let given = |path: &Path| Directory {
        path: path.to_owned(),
        is_copy: false,
    };
    if let Some(wanted) = wanted {
        if !wanted.is_dir() {
            bail!("--directory {}: no such directory", wanted.display());
        }
        return Ok(given(wanted));
    }
    // Its EndpointSlice names the default port.
    if backend_port == BACKEND_PORT && Path::new(CHECKOUT).is_dir() {
        return Ok(given(Path::new(CHECKOUT)));
    }
    let copy = std::env::temp_dir().join(format!("tidegate-demo-{}", std::process::id()));
    write(&copy, backend_port).with_context(|| copy.display().to_string())?;
    Ok(Directory {
        path: copy,
        is_copy: true,
    })
}

fn write(directory: &Path, backend_port: u16) -> std::io::Result<()> {
    // Fails if it exists: in a shared directory it might be somebody else's.
    std::fs::create_dir(directory)?;
    for (name, text) in FILES {
        let text = text.replace(&BACKEND_PORT.to_string(), &backend_port.to_string());
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_complete() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CHECKOUT);
        let mut names: Vec<_> = std::fs::read_dir(checkout)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let mut ours = FILES.map(|(name, _)| name.to_owned());
        ours.sort();
        assert_eq!(names, ours);
    }

    #[test]
    fn the_backend_is_where_the_endpoint_slice_says() {
        assert!(FILES[2].1.contains(&format!("port: {BACKEND_PORT}")));
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("copy");
        write(&copy, 18081).unwrap();
        let text = std::fs::read_to_string(copy.join("service.yaml")).unwrap();
        assert!(
            text.contains("port: 18081") && !text.contains("port: 8081"),
            "{text}"
        );
        assert!(write(&copy, 18081).is_err());
    }
}
