//! `cargo xtask trees`: what a user pulls in with each of our crates.

use std::collections::BTreeSet;

use crate::Result;
use crate::cargo::{cargo, stdout_of, workspace_root};

/// One promise about the dependencies of one crate.
#[derive(Debug)]
struct Promise {
    /// The package, and the features to ask of it.
    args: &'static [&'static str],
    /// The most crates there may be, the package itself included.
    at_most: Option<usize>,
    /// A crate that must not be there; neither may those whose names begin with it and a dash.
    never: Option<&'static str>,
}

const PROMISES: &[Promise] = &[
    Promise { args: &["-p", "mqtt-codec"], at_most: Some(3), never: None },
    Promise { args: &["-p", "iot-session", "--no-default-features"], at_most: None, never: Some("tokio") },
    Promise {
        args: &["-p", "iot-transport", "--features", "ring"],
        at_most: Some(39),
        never: Some("aws-lc"),
    },
    Promise {
        args: &["-p", "iot-transport", "--features", "ring,amazon-roots,proxy,sigv4"],
        at_most: Some(89),
        never: Some("openssl"),
    },
    Promise {
        args: &["-p", "iot-transport", "--features", "aws-lc-rs,sigv4"],
        at_most: Some(89),
        never: Some("ring"),
    },
];

/// Checks every promise and prints a line for each.
///
/// # Errors
/// When one is broken, or `cargo tree` names no crate.
pub fn run() -> Result {
    let root = workspace_root()?;
    let mut broken = 0;
    for promise in PROMISES {
        let mut command = cargo(&root);
        command.args(["tree", "--edges", "normal", "--prefix", "none"]).args(promise.args);
        let crates = unique(&stdout_of(command)?);
        let faults = promise.faults(&crates);
        let verdict = if faults.is_empty() { "ok" } else { "BROKEN" };
        println!("{verdict:<7}{:>3} crates  {}", crates.len(), promise.args.join(" "));
        for fault in &faults {
            eprintln!("       {fault}");
        }
        broken += faults.len();
    }
    if broken == 0 { Ok(()) } else { Err(format!("{broken} promises about dependencies are broken").into()) }
}

impl Promise {
    fn faults(&self, crates: &BTreeSet<String>) -> Vec<String> {
        let mut faults = Vec::new();
        if crates.is_empty() {
            faults.push("`cargo tree` names no crate at all".to_owned());
        }
        if let Some(most) = self.at_most.filter(|most| crates.len() > *most) {
            faults.push(format!("{} crates, at most {most} are promised: {crates:?}", crates.len()));
        }
        if let Some(never) = self.never {
            let related =
                |name: &str| name == never || name.strip_prefix(never).is_some_and(|n| n.starts_with('-'));
            let found = crates.iter().filter(|entry| entry.split(' ').next().is_some_and(related));
            faults.extend(found.map(|entry| format!("`{entry}` is there, and must not be")));
        }
        faults
    }
}

/// Each crate once, as `name version`. (`cargo tree` marks with `(*)` what it has shown before.)
fn unique(tree: &str) -> BTreeSet<String> {
    let entry = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    tree.lines().map(entry).filter(|entry| !entry.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str =
        "session v0.1.0 (/somewhere)\nbytes v1.12.2\ntokio-util v0.7.20\nbytes v1.12.2 (*)\n\n";

    #[test]
    fn a_crate_shown_twice_is_counted_once() {
        assert_eq!(unique(TREE).len(), 3);
    }

    #[test]
    fn too_many_crates_break_a_promise() {
        let promise = |most| Promise { args: &[], at_most: Some(most), never: None };
        assert!(promise(3).faults(&unique(TREE)).is_empty());
        assert_eq!(promise(2).faults(&unique(TREE)).len(), 1);
    }

    #[test]
    fn a_crate_that_must_not_be_there_breaks_a_promise_by_its_family_name() {
        let promise = |never| Promise { args: &[], at_most: None, never: Some(never) };
        assert!(promise("tok").faults(&unique(TREE)).is_empty());
        assert_eq!(
            promise("tokio").faults(&unique(TREE)),
            ["`tokio-util v0.7.20` is there, and must not be"]
        );
    }

    #[test]
    fn an_empty_tree_breaks_a_promise() {
        assert_eq!(Promise { args: &[], at_most: Some(3), never: None }.faults(&unique("")).len(), 1);
    }
}
