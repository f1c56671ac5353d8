//! `dependencies`: who may depend on whom.

use super::Found;
use crate::Result;
use crate::tidy::manifest::{Kind, Manifest};
use crate::tidy::report::Violation;
use crate::tidy::tree::Tree;

/// What a crate may depend on.
#[derive(Debug)]
struct Allowed {
    name: &'static str,
    /// Crates of this workspace.
    ours: &'static [&'static str],
    /// A crate of this workspace that may be there only as an optional dependency, and the one feature that turns it on.
    ours_with_feature: Option<(&'static str, &'static str)>,
    /// Other people's crates, when there is a limit: all that may be there without a feature.
    theirs: Option<&'static [&'static str]>,
    /// Other people's crates (by family: `tokio` is `tokio-util` too) that may be there only with a feature.
    only_optional: &'static [&'static str],
}

const NOTHING: Allowed =
    Allowed { name: "", ours: &[], ours_with_feature: None, theirs: None, only_optional: &[] };

const ALLOWED: &[Allowed] = &[
    Allowed { name: "mqtt-codec", theirs: Some(&["bytes"]), ..NOTHING },
    Allowed { name: "iot-transport", ..NOTHING },
    Allowed {
        name: "iot-session",
        ours: &["mqtt-codec"],
        ours_with_feature: Some(("iot-transport", "tokio")),
        only_optional: &["tokio"],
        ..NOTHING
    },
    Allowed { name: "iot-shadow", ours: &["iot-session", "mqtt-codec"], ..NOTHING },
    Allowed {
        name: "aws-iot",
        ours: &["iot-shadow", "iot-session", "iot-transport", "mqtt-codec"],
        ..NOTHING
    },
    Allowed { name: "iot-emulator", ours: &["iot-transport", "mqtt-codec"], ..NOTHING },
];

pub(super) fn check(tree: &Tree, found: Found<'_>) -> Result {
    let root = Manifest::root(tree)?;
    let members = root.members(tree)?;
    for member in &members {
        if member.file.path.starts_with("crates/") {
            match ALLOWED.iter().find(|allowed| allowed.name == member.package_name()) {
                Some(allowed) => check_crate(member, allowed, &members, &root, found),
                None => found(Violation::new(
                    &member.file.path,
                    member.line_with("name"),
                    format!("`{}` is a new crate: say in xtask what it may depend on", member.package_name()),
                )),
            }
        } else if member.at(&["package", "publish"]).and_then(toml::de::DeValue::as_bool) != Some(false) {
            let message = format!("`{}` is no crate for users: set `publish = false`", member.package_name());
            found(Violation::new(&member.file.path, member.line_with("[package]"), message));
        }
        check_cycles(member, &members, &root, found);
    }
    Ok(())
}

fn check_crate(
    member: &Manifest<'_>,
    allowed: &Allowed,
    members: &[Manifest<'_>],
    root: &Manifest<'_>,
    found: Found<'_>,
) {
    let name = allowed.name;
    let mut complain = |line, message: String| found(Violation::new(&member.file.path, line, message));
    for dependency in member.dependencies(Kind::Normal, root) {
        let package = dependency.package.as_str();
        let is_ours = members.iter().any(|other| other.package_name() == package)
            || ALLOWED.iter().any(|other| other.name == package);
        if is_ours {
            match allowed.ours_with_feature {
                Some((ours, feature)) if ours == package => {
                    if !dependency.optional {
                        let message =
                            format!("`{name}` may use `{package}` only through its feature `{feature}`");
                        complain(dependency.line, format!("{message}: make it optional"));
                    }
                    for (other, line) in member.features_with(package) {
                        if other != feature {
                            let message =
                                format!("feature `{other}` turns on `{package}`: only `{feature}` may");
                            complain(line, message);
                        }
                    }
                }
                _ if allowed.ours.contains(&package) => {}
                _ => complain(
                    dependency.line,
                    format!(
                        "`{name}` must not depend on `{package}`: the other way round, or through a trait"
                    ),
                ),
            }
        } else if !dependency.optional {
            let family = |family: &&&str| {
                package.strip_prefix(**family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            let too_much = allowed.theirs.is_some_and(|theirs| !theirs.contains(&package));
            if too_much || allowed.only_optional.iter().find(family).is_some() {
                complain(
                    dependency.line,
                    format!(
                        "`{name}` must do without `{package}` by default: make it optional, behind a feature"
                    ),
                );
            }
        }
    }
}

/// A dev-dependency on a crate that needs this one builds this one twice, as two different crates.
fn check_cycles(member: &Manifest<'_>, members: &[Manifest<'_>], root: &Manifest<'_>, found: Found<'_>) {
    for dependency in member.dependencies(Kind::Dev, root) {
        if reaches(&dependency.package, member.package_name(), members, root) {
            let message = format!(
                "`{}` needs `{}`: move the test to the crate that needs both",
                dependency.package,
                member.package_name()
            );
            found(Violation::new(&member.file.path, dependency.line, message));
        }
    }
}

fn reaches(from: &str, to: &str, members: &[Manifest<'_>], root: &Manifest<'_>) -> bool {
    let mut seen = vec![from.to_owned()];
    let mut next = 0;
    while let Some(package) = seen.get(next).cloned() {
        if package == to {
            return true;
        }
        next += 1;
        let Some(member) = members.iter().find(|member| member.package_name() == package) else { continue };
        for dependency in member.dependencies(Kind::Normal, root) {
            if !seen.contains(&dependency.package) {
                seen.push(dependency.package);
            }
        }
    }
    false
}
