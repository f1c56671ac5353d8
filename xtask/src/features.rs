//! `cargo xtask features`: every crate builds alone, with each of its features alone, and those that have crypto providers
//! with each feature on each of them.

use crate::Result;
use crate::cargo::{cargo, metadata, timed, workspace_root};

/// Builds every combination and prints a line for each.
///
/// # Errors
/// When a combination fails or warns, or when there is none.
pub fn run() -> Result {
    let root = workspace_root()?;
    let builds: Vec<Build> = packages(&metadata(&root)?)?.iter().flat_map(Package::builds).collect();
    if builds.is_empty() {
        return Err("no combination to build: `cargo metadata` lists no package under crates/".into());
    }

    let mut failed = Vec::new();
    for build in &builds {
        let mut command = cargo(&root);
        command.args(["check", "--quiet", "--package", &build.package]).args(&build.flags);
        let (output, seconds) = timed(|| command.output());
        let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
        let words = String::from_utf8_lossy(&output.stderr);
        let verdict = match (output.status.success(), warns(&words)) {
            (true, false) => "ok",
            (true, true) => "WARNS",
            (false, _) => "FAILED",
        };
        println!("{verdict:<7}{seconds:>7.1} s  {build}");
        if verdict != "ok" {
            eprintln!("{words}");
            failed.push(build.to_string());
        }
    }
    println!("{} combinations built, {} failed", builds.len(), failed.len());
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("these do not build cleanly: {}", failed.join(", ")).into())
    }
}

/// A package under `crates/` and the names of its features.
#[derive(Debug, PartialEq, Eq)]
struct Package {
    name: String,
    features: Vec<String>,
}

/// The features that stand for a crypto provider, of which a crate of ours has both or none.
const PROVIDERS: [&str; 2] = ["aws-lc-rs", "ring"];

/// One way to build one package.
#[derive(Debug, PartialEq, Eq)]
struct Build {
    package: String,
    flags: Vec<String>,
}

impl Package {
    /// Without features, with each alone (`default` among them), with all; with both crypto providers, and with each other
    /// feature on each of them.
    fn builds(&self) -> Vec<Build> {
        let build = |flags: &[&str]| Build {
            package: self.name.clone(),
            flags: flags.iter().map(ToString::to_string).collect(),
        };
        let mut builds = vec![build(&["--no-default-features"])];
        builds.extend(
            self.features.iter().map(|feature| build(&["--no-default-features", "--features", feature])),
        );
        if PROVIDERS.iter().all(|provider| self.features.iter().any(|feature| feature == provider)) {
            builds.push(build(&["--no-default-features", "--features", &PROVIDERS.join(",")]));
            let others = self
                .features
                .iter()
                .filter(|feature| *feature != "default" && !PROVIDERS.contains(&feature.as_str()));
            for (feature, provider) in
                others.flat_map(|feature| PROVIDERS.map(|provider| (feature, provider)))
            {
                builds.push(build(&[
                    "--no-default-features",
                    "--features",
                    &format!("{provider},{feature}"),
                ]));
            }
        }
        builds.push(build(&["--all-features"]));
        builds
    }
}

impl std::fmt::Display for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.package, self.flags.join(" "))
    }
}

/// The packages under `crates/`, from what `cargo metadata` prints.
fn packages(metadata: &str) -> Result<Vec<Package>> {
    let metadata: serde_json::Value = serde_json::from_str(metadata)?;
    let listed = metadata.get("packages").and_then(|packages| packages.as_array()).ok_or("no `packages`")?;
    let mut packages = Vec::new();
    for package in listed {
        let text = |key: &str| {
            package.get(key).and_then(|value| value.as_str()).unwrap_or_default().replace('\\', "/")
        };
        if !text("manifest_path").contains("/crates/") {
            continue;
        }
        let features = package.get("features").and_then(|value| value.as_object());
        let features = features.into_iter().flatten().map(|(name, _)| name.clone()).collect();
        packages.push(Package { name: text("name"), features });
    }
    Ok(packages)
}

fn warns(stderr: &str) -> bool {
    stderr.lines().any(|line| line.starts_with("warning"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages": [
        {"name": "codec", "manifest_path": "/somewhere/crates/codec/Cargo.toml",
         "features": {"default": ["std"], "std": []}},
        {"name": "tls", "manifest_path": "/somewhere/crates/tls/Cargo.toml",
         "features": {"aws-lc-rs": [], "default": [], "proxy": [], "ring": []}},
        {"name": "windows", "manifest_path": "C:\\somewhere\\crates\\windows\\Cargo.toml", "features": {}},
        {"name": "xtask", "manifest_path": "/somewhere/xtask/Cargo.toml", "features": {}}
    ]}"#;

    #[test]
    fn a_crate_is_built_without_with_each_and_with_all_of_its_features_and_on_each_provider() {
        let builds: Vec<String> = packages(METADATA)
            .unwrap()
            .iter()
            .flat_map(Package::builds)
            .map(|build| build.to_string())
            .collect();
        assert_eq!(
            builds,
            [
                "codec --no-default-features",
                "codec --no-default-features --features default",
                "codec --no-default-features --features std",
                "codec --all-features",
                "tls --no-default-features",
                "tls --no-default-features --features aws-lc-rs",
                "tls --no-default-features --features default",
                "tls --no-default-features --features proxy",
                "tls --no-default-features --features ring",
                "tls --no-default-features --features aws-lc-rs,ring",
                "tls --no-default-features --features aws-lc-rs,proxy",
                "tls --no-default-features --features ring,proxy",
                "tls --all-features",
                "windows --no-default-features",
                "windows --all-features",
            ]
        );
    }

    #[test]
    fn metadata_without_packages_is_an_error() {
        assert!(packages("{}").is_err());
        assert!(packages("not json").is_err());
    }

    #[test]
    fn a_warning_is_seen_wherever_it_stands() {
        assert!(warns("\nwarning: unused import\n  --> src/lib.rs:1:1\n"));
        assert!(!warns("    Checking codec v0.1.0\n"));
    }
}
