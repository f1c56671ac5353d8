//! `cargo xtask package`: every crate can be published.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Result;
use crate::cargo::{cargo, metadata, stdout_of, target_directory, workspace_root};

/// What a registry shows of a crate, and a reader looks for.
const FIELDS: [&str; 6] = ["description", "keywords", "categories", "readme", "license", "rust_version"];

/// Packages the crates under `crates/`, builds each from its package, and looks at what is said of each and what is in it.
///
/// # Errors
/// Something is missing, or a package does not build.
pub fn run() -> Result {
    let root = workspace_root()?;
    let metadata: Value = serde_json::from_str(&metadata(&root)?)?;
    let packages = published(&metadata);
    if packages.is_empty() {
        return Err("`cargo metadata` lists no package that may be published".into());
    }
    let mut faults = Vec::new();
    for package in &packages {
        let name = text(package, "name");
        let mut listing = cargo(&root);
        listing.args(["package", "--list", "--allow-dirty", "--package", name]);
        let files = stdout_of(listing)?;
        faults.extend(missing(package, &files).into_iter().map(|what| format!("{name} has no {what}")));
    }
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    let mut command = cargo(&root);
    // Uncommitted files are the business of whoever publishes.
    command.args(["package", "--quiet", "--allow-dirty", "--locked", "--no-verify"]);
    for package in &packages {
        command.args(["--package", text(package, "name")]);
    }
    if !command.status()?.success() {
        return Err("a crate cannot be packaged: see the lines above".into());
    }
    build(&root, &packages)?;
    for package in &packages {
        println!("ok     {} {}", text(package, "name"), text(package, "version"));
    }
    Ok(())
}

/// Builds the packages from what is in them. Cargo's own way takes what it unpacked under the same version before, however old.
fn build(root: &Path, packages: &[&Value]) -> Result {
    let target = target_directory(root)?;
    let directory = tempfile::tempdir()?;
    let mut members = Vec::new();
    let mut patches = String::new();
    for package in packages {
        let (name, version) = (text(package, "name"), text(package, "version"));
        let member = format!("{name}-{version}");
        let mut unpack = Command::new("tar");
        // Touched (m), since packages bear one old date and cargo goes by dates.
        unpack.arg("-xmzf").arg(target.join("package").join(format!("{member}.crate")));
        unpack.arg("-C").arg(directory.path());
        stdout_of(unpack)?;
        patches.push_str(&format!("{name} = {{ path = {member:?} }}\n"));
        members.push(member);
    }
    let manifest =
        format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n[patch.crates-io]\n{patches}");
    fs::write(directory.path().join("Cargo.toml"), manifest)?;
    // The versions that everything else here is tested with, whose builds are there already.
    fs::copy(root.join("Cargo.lock"), directory.path().join("Cargo.lock"))?;
    let mut build = cargo(directory.path());
    build.args(["build", "--quiet", "--workspace"]).env("CARGO_TARGET_DIR", &target);
    stdout_of(build).map(drop).map_err(|error| format!("a package does not build: {error}").into())
}

/// The packages that `publish = false` does not exclude.
fn published(metadata: &Value) -> Vec<&Value> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    packages
        .into_iter()
        .flatten()
        .filter(|package| package.get("publish").is_none_or(Value::is_null))
        .collect()
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// What a package does not have.
fn missing(package: &Value, files: &str) -> Vec<&'static str> {
    let is_empty = |value: &Value| {
        value.is_null()
            || value.as_str().is_some_and(str::is_empty)
            || value.as_array().is_some_and(Vec::is_empty)
    };
    let mut missing: Vec<_> =
        FIELDS.into_iter().filter(|field| package.get(*field).is_none_or(is_empty)).collect();
    let has = |name: &str| files.lines().any(|file| file == name);
    missing.extend(["README.md", "LICENSE"].into_iter().filter(|name| !has(name)));
    missing
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_package_lacks_is_named() {
        let full = json!({
            "name": "a", "version": "0.1.0", "publish": null, "description": "d", "keywords": ["k"],
            "categories": ["c"], "readme": "README.md", "license": "L", "rust_version": "1.88"
        });
        let files = "Cargo.toml\nLICENSE\nREADME.md\nsrc/lib.rs\n";
        assert_eq!(missing(&full, files), Vec::<&str>::new());
        assert_eq!(missing(&full, "Cargo.toml\n"), ["README.md", "LICENSE"]);
        let mut bare = full.clone();
        bare["keywords"] = json!([]);
        bare["description"] = Value::Null;
        assert_eq!(missing(&bare, files), ["description", "keywords"]);
    }

    #[test]
    fn what_is_not_to_be_published_is_left_out() {
        let metadata =
            json!({ "packages": [{ "name": "a", "publish": null }, { "name": "b", "publish": [] }] });
        let names: Vec<_> = published(&metadata).into_iter().map(|package| text(package, "name")).collect();
        assert_eq!(names, ["a"]);
    }
}
