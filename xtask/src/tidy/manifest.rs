//! Reading the `Cargo.toml` files of the workspace, with the line of each entry.

use toml::de::{DeTable, DeValue};

use super::tree::{File, Tree};
use crate::Result;

/// A parsed `Cargo.toml`.
#[derive(Debug)]
pub(super) struct Manifest<'t> {
    pub(super) file: &'t File,
    pub(super) table: DeTable<'t>,
}

/// One line of a `[dependencies]` table.
#[derive(Debug)]
pub(super) struct Dependency {
    /// The name of the package, when the entry renames it too.
    pub(super) package: String,
    pub(super) optional: bool,
    pub(super) line: usize,
}

/// The kinds of dependencies a package has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What its users build too.
    Normal,
    /// What only its own tests build.
    Dev,
}

impl Kind {
    fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Normal => &["dependencies", "build-dependencies"],
            Self::Dev => &["dev-dependencies"],
        }
    }
}

impl<'t> Manifest<'t> {
    pub(super) fn parse(file: &'t File) -> Result<Self> {
        let table =
            DeTable::parse(&file.text).map_err(|error| format!("{}: {error}", file.path))?.into_inner();
        Ok(Self { file, table })
    }

    /// The manifest at the root.
    pub(super) fn root(tree: &'t Tree) -> Result<Self> {
        Self::parse(tree.file("Cargo.toml").ok_or("no Cargo.toml at the root")?)
    }

    /// The manifests of the workspace's members.
    pub(super) fn members(&self, tree: &'t Tree) -> Result<Vec<Self>> {
        let members = self.at(&["workspace", "members"]).and_then(DeValue::as_array);
        let patterns: Vec<&str> = members
            .into_iter()
            .flat_map(|members| members.iter())
            .filter_map(|m| m.get_ref().as_str())
            .collect();
        let is_member = |file: &&File| {
            let Some(directory) = file.path.strip_suffix("/Cargo.toml") else { return false };
            patterns.iter().any(|pattern| match pattern.strip_suffix("/*") {
                Some(parent) => directory.rsplit_once('/').is_some_and(|(found, _)| found == parent),
                None => directory == *pattern,
            })
        };
        tree.files().iter().filter(is_member).map(Self::parse).collect()
    }

    /// The value at a path of keys.
    pub(super) fn at(&self, keys: &[&str]) -> Option<&DeValue<'t>> {
        let (last, tables) = keys.split_last()?;
        let table =
            tables.iter().try_fold(&self.table, |table, key| table.get(*key)?.get_ref().as_table())?;
        Some(table.get(*last)?.get_ref())
    }

    pub(super) fn package_name(&self) -> &str {
        self.at(&["package", "name"]).and_then(DeValue::as_str).unwrap_or_default()
    }

    /// The dependencies of a kind, those of one target only included. `root` resolves what is inherited.
    pub(super) fn dependencies(&self, kind: Kind, root: &Manifest<'_>) -> Vec<Dependency> {
        let mut holders = vec![&self.table];
        let targets = self.at(&["target"]).and_then(DeValue::as_table);
        holders.extend(
            targets
                .into_iter()
                .flat_map(|targets| targets.iter())
                .filter_map(|(_, t)| t.get_ref().as_table()),
        );
        let mut found = Vec::new();
        for (holder, name) in
            holders.iter().flat_map(|holder| kind.tables().iter().map(move |name| (holder, *name)))
        {
            let Some(table) = holder.get(name).and_then(|table| table.get_ref().as_table()) else { continue };
            for (key, value) in table {
                found.push(Dependency {
                    package: package_of(key.get_ref(), value.get_ref(), root),
                    optional: flag(value.get_ref(), "optional"),
                    line: self.line(key.span().start),
                });
            }
        }
        found
    }

    /// The names of the features that turn on the optional dependency `package`.
    pub(super) fn features_with(&self, package: &str) -> Vec<(String, usize)> {
        let Some(features) = self.at(&["features"]).and_then(DeValue::as_table) else { return Vec::new() };
        let turns_on = |value: &str| {
            value.strip_prefix("dep:") == Some(package)
                || value == package
                || value.strip_prefix(package).is_some_and(|rest| rest.starts_with('/'))
        };
        let holds = |list: &DeValue<'_>| {
            list.as_array()
                .is_some_and(|list| list.iter().any(|item| item.get_ref().as_str().is_some_and(turns_on)))
        };
        let with = features.iter().filter(|(_, list)| holds(list.get_ref()));
        with.map(|(name, _)| (name.get_ref().to_string(), self.line(name.span().start))).collect()
    }

    /// The line of the first text like this, or the first line.
    pub(super) fn line_with(&self, text: &str) -> usize {
        self.file
            .lines()
            .find(|(_, line)| line.trim_start().starts_with(text))
            .map_or(1, |(number, _)| number)
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.file.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }
}

/// Whether a table has `key = true`.
pub(super) fn flag(value: &DeValue<'_>, key: &str) -> bool {
    value.as_table().and_then(|table| table.get(key)?.get_ref().as_bool()).unwrap_or(false)
}

fn package_of(key: &str, value: &DeValue<'_>, root: &Manifest<'_>) -> String {
    let named = |value: &DeValue<'_>| Some(value.as_table()?.get("package")?.get_ref().as_str()?.to_owned());
    let inherited = || named(root.at(&["workspace", "dependencies", key])?);
    named(value)
        .or_else(|| if flag(value, "workspace") { inherited() } else { None })
        .unwrap_or_else(|| key.to_owned())
}
