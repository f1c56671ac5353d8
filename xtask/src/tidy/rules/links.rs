//! `links`: every relative link in the documents leads to a file.

use std::path::{Component, Path, PathBuf};

use super::Found;
use crate::Result;
use crate::tidy::report::Violation;
use crate::tidy::tree::{File, Tree};

pub(super) fn check(tree: &Tree, found: Found<'_>) -> Result {
    for file in tree.files().iter().filter(|file| is_document(&file.path)) {
        for (line, target) in links(file) {
            if let Some(path) = resolve(&file.path, &target)
                && !tree.exists(&path)
            {
                let message = format!("`{target}` leads nowhere: there is no {}", path.display());
                found(Violation::new(&file.path, line, message));
            }
        }
    }
    Ok(())
}

/// Markdown at the root, in `docs/`, and the README of a crate.
fn is_document(path: &str) -> bool {
    let at_root = !path.contains('/');
    let readme_of_crate = path.starts_with("crates/") && path.ends_with("/README.md");
    path.ends_with(".md") && (at_root || path.starts_with("docs/") || readme_of_crate)
}

/// The target of each `[text](target)` and `[text]: target` outside of code, with its line.
fn links(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            in_code = !in_code;
        } else if !in_code {
            let text = without_code_spans(line);
            let inline = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            let definition =
                trimmed.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
            let definition = definition.and_then(|target| target.split_whitespace().next());
            found.extend(
                inline.chain(definition).map(|target| (number, target.trim_matches(['<', '>']).to_owned())),
            );
        }
    }
    found
}

/// `a [x](y)` within backticks is an example, not a link; but ``[`x`](y)`` is one.
fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The file that a relative link of the document `from` means; `None` for a URL, an anchor, an item of Rust.
fn resolve(from: &str, target: &str) -> Option<PathBuf> {
    let path = target.split('#').next().filter(|path| !path.is_empty())?;
    if path.contains("::") || path.split('/').next()?.contains(':') {
        return None;
    }
    let (base, path) = match path.strip_prefix('/') {
        Some(from_root) => (Path::new(""), from_root),
        None => (Path::new(from).parent()?, path),
    };
    let mut resolved = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::Normal(name) => resolved.push(name),
            _ => {}
        }
    }
    Some(resolved)
}
