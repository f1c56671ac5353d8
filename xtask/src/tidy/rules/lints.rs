//! `lints`: one table of lints for all, and a reason at each exception.

use proc_macro2::TokenTree;
use toml::de::DeValue;

use super::Found;
use crate::Result;
use crate::tidy::manifest::{Manifest, flag};
use crate::tidy::report::Violation;
use crate::tidy::tokens::{attributes, ident, is_punct, line_of, trees};
use crate::tidy::tree::Tree;

pub(super) fn check(tree: &Tree, found: Found<'_>) -> Result {
    let root = Manifest::root(tree)?;
    check_root(&root, found);
    for member in root.members(tree)? {
        if !member.at(&["lints"]).is_some_and(|lints| flag(lints, "workspace")) {
            let message = "takes other lints than the workspace: add `[lints] workspace = true`";
            found(Violation::new(&member.file.path, member.line_with("[lints]"), message));
        }
    }
    for file in tree.rust_files() {
        for attribute in attributes(file.tokens()) {
            for line in exceptions_without_reason(&attribute.tokens) {
                let message = "an exception to a lint without its reason: add `reason = \"...\"`";
                found(Violation::new(&file.path, line, message));
            }
        }
    }
    Ok(())
}

fn check_root(root: &Manifest<'_>, found: Found<'_>) {
    let unsafe_code = root.at(&["workspace", "lints", "rust", "unsafe_code"]);
    let level = unsafe_code
        .and_then(|value| value.as_str().or_else(|| value.as_table()?.get("level")?.get_ref().as_str()));
    if level != Some("forbid") {
        let message = "nothing here is unsafe: set `unsafe_code = \"forbid\"` in [workspace.lints.rust]";
        found(Violation::new(&root.file.path, root.line_with("unsafe_code"), message));
    }
    for tool in ["rust", "rustdoc", "clippy"] {
        let Some(lints) = root.at(&["workspace", "lints", tool]).and_then(DeValue::as_table) else {
            continue;
        };
        for (name, value) in lints {
            let relaxed = value.get_ref().as_str() == Some("allow");
            let line = root.line_with(&format!("{} ", name.get_ref()));
            if relaxed && !has_comment(root, line) {
                let message =
                    format!("`{}` is relaxed without a reason: put it in a comment above", name.get_ref());
                found(Violation::new(&root.file.path, line, message));
            }
        }
    }
}

fn has_comment(manifest: &Manifest<'_>, line: usize) -> bool {
    manifest.file.lines().any(|(number, text)| {
        (number == line && text.contains('#')) || (number + 1 == line && text.trim_start().starts_with('#'))
    })
}

/// The lines of each `allow(..)` and `expect(..)` without `reason = ..`, also within `cfg_attr(..)`.
fn exceptions_without_reason(tokens: &[TokenTree]) -> Vec<usize> {
    let mut lines = Vec::new();
    for (at, tree) in tokens.iter().enumerate() {
        let Some(TokenTree::Group(arguments)) = tokens.get(at + 1) else { continue };
        let arguments = trees(arguments.stream());
        match ident(Some(tree)) {
            Some(name) if name == "allow" || name == "expect" => {
                let gives_reason = arguments.iter().enumerate().any(|(at, tree)| {
                    ident(Some(tree)).is_some_and(|word| word == "reason")
                        && is_punct(arguments.get(at + 1), '=')
                });
                if !gives_reason {
                    lines.push(line_of(tree));
                }
            }
            Some(name) if name == "cfg_attr" => lines.extend(exceptions_without_reason(&arguments)),
            _ => {}
        }
    }
    lines
}
