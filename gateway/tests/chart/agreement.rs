//! Chart, Dockerfile and program agree: flags, ports, user, paths.

use std::process::Command;
use std::time::UNIX_EPOCH;

use super::helm::{self, Objects, matrix, rendered, values};
use super::read;

/// Every flag that the chart sets is one that the program takes.
#[test]
fn flags_exist() {
    let page = read("docs/flags.md");
    for name in matrix() {
        let objects = Objects(helm::objects(&helm::template(&values(&name)).unwrap()));
        for arg in objects.args().iter().filter(|arg| **arg != "run") {
            let flag = arg.split('=').next().unwrap();
            // `--config` is of the subcommand itself.
            let known = flag == "--config"
                || ["`", "="]
                    .iter()
                    .any(|end| page.contains(&format!("| `{flag}{end}")));
            assert!(known, "{name}: no flag {flag}");
        }
    }
}

/// The Dockerfile's own script makes a tree in which the program starts: every
/// library that it loads is there.
#[test]
fn the_image_holds_every_library() {
    let text = read("Dockerfile");
    let (_, rest) = text.split_once("RUN <<'ROOTFS'\n").unwrap();
    let (script, _) = rest.split_once("\nROOTFS\n").unwrap();
    let root = tempfile::tempdir().unwrap();
    let made = Command::new("sh")
        .args(["-c", script])
        .env("PROGRAM", env!("CARGO_BIN_EXE_tidegate"))
        .env("ROOT", root.path())
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .status()
        .unwrap();
    assert!(made.success());
    let chroot = |program: &str, argument: &str| {
        Command::new("unshare")
            .args(["--map-root-user", "chroot"])
            .arg(root.path())
            .args([program, argument])
            .output()
            .unwrap()
    };
    let started = chroot("/usr/bin/tidegate", "--version");
    let (out, error) = (
        String::from_utf8(started.stdout).unwrap(),
        String::from_utf8_lossy(&started.stderr),
    );
    assert!(out.starts_with("tidegate "), "{out}{error}");
    assert!(!chroot("/bin/sh", "-c").status.success(), "no shell");
    let passwd = root.path().join("etc/passwd");
    let time = passwd.metadata().unwrap().modified().unwrap();
    assert_eq!(time.duration_since(UNIX_EPOCH).unwrap().as_secs(), 1_000_000_000);
}

/// The value of an instruction of the Dockerfile's last stage.
fn instruction(name: &str) -> Vec<String> {
    let text = read("Dockerfile");
    let last = text.rsplit("\nFROM ").next().unwrap();
    let lines = last
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn the_image_fits_the_pod() {
    let objects = rendered(&[]);
    let container = objects.container();
    let context = &container["securityContext"];
    assert_eq!(
        instruction("USER"),
        [format!("{}:{}", context["runAsUser"], context["runAsGroup"])]
    );
    let mut exposed: Vec<String> = instruction("EXPOSE")[0].split(' ').map(str::to_owned).collect();
    let ports = container["ports"].as_array().unwrap();
    let mut opened: Vec<String> = ports
        .iter()
        .map(|port| port["containerPort"].to_string())
        .collect();
    exposed.sort();
    opened.sort();
    assert_eq!(exposed, opened);
    // The pod's arguments follow the image's program; it has no shell to start it.
    assert_eq!(container["command"], serde_json::Value::Null);
    assert_eq!(instruction("ENTRYPOINT"), ["[\"/usr/bin/tidegate\"]"]);
    assert!(
        instruction("COPY").iter().any(|copy| copy.ends_with(" /")),
        "the tree with /usr/bin/tidegate"
    );
    // Nothing that the program writes to is in a read-only file system.
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(instruction("VOLUME"), Vec::<String>::new());
}
