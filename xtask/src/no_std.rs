//! `cargo xtask no-std`: the codec in a program without `std`.

use crate::Result;
use crate::cargo::{cargo, stdout_of, workspace_root};

const MANIFEST: &str = "xtask/no-std/Cargo.toml";

/// Builds and runs the program, and looks at what it is made of.
///
/// # Errors
/// When it does not build, ends with another status than 0, or pulls in more than the codec and `bytes`.
pub fn run() -> Result {
    let root = workspace_root()?;
    let mut tree = cargo(&root);
    tree.args(["tree", "--manifest-path", MANIFEST, "--edges", "normal,features", "--prefix", "none"]);
    if let Some(fault) = fault(&stdout_of(tree)?) {
        return Err(fault.into());
    }
    let status = cargo(&root).args(["run", "--quiet", "--release", "--manifest-path", MANIFEST]).status()?;
    if !status.success() {
        return Err(
            format!("the program ended with {status}: see the steps in xtask/no-std/src/main.rs").into()
        );
    }
    println!("ok     mqtt-codec runs without std, with bytes alone");
    Ok(())
}

/// What is wrong with the packages and features in `tree`.
fn fault(tree: &str) -> Option<String> {
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if !names.contains(&"mqtt-codec") {
        return Some("`cargo tree` does not name mqtt-codec".into());
    }
    let stranger = names.iter().find(|name| !["no-std", "mqtt-codec", "bytes"].contains(name));
    if let Some(stranger) = stranger {
        return Some(format!("`{stranger}` is pulled in, and must not be"));
    }
    let feature = tree.lines().find(|line| line.contains("feature \"std\""));
    feature.map(|line| format!("std is turned on: {line}"))
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn the_codec_and_bytes_are_all_there_may_be() {
        let tree = "no-std v0.0.0 (/x)\nbytes v1.12.2\nmqtt-codec v0.1.0 (/y)\nbytes v1.12.2\n";
        assert_eq!(fault(tree), None);
        assert!(fault(&format!("{tree}memchr v2.0.0\n")).unwrap().contains("memchr"));
        assert!(fault(&format!("{tree}bytes feature \"std\"\n")).unwrap().contains("std is turned on"));
        assert!(fault("no-std v0.0.0 (/x)\n").is_some());
    }
}
