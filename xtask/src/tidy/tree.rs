//! The files that are checked, read once.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{LexError, Span, TokenStream};

use super::tokens;
use crate::Result;

/// Directories that hold what tools made, wherever they are.
const MADE_BY_TOOLS: &[&str] = &["target", "node_modules", "proptest-regressions"];
/// The same, by their paths from the root.
const MADE_BY_FUZZING: &[&str] = &["fuzz/corpus", "fuzz/artifacts", "fuzz/coverage"];
/// Directories with a leading dot that belong to the project.
const HIDDEN_BUT_OURS: &[&str] = &[".cargo", ".ci", ".github"];
/// Files that git ignores or a tool writes.
const SKIPPED_ENDINGS: &[&str] = &[".lock", ".pem", ".key", ".crt", ".profraw"];
/// In a second working tree of git, a file that says where the first one is.
const SECOND_TREE: &str = ".git";

/// Every text file below a root.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    files: Vec<File>,
    test_only: HashSet<String>,
}

/// One text file.
#[derive(Debug)]
pub(super) struct File {
    /// From the root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// Of a `.rs` file: its tokens, or the line and message of what keeps it from being Rust.
    tokens: Option<std::result::Result<TokenStream, (usize, String)>>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        walk(root, "", &mut files)?;
        files.sort_by(|a: &File, b: &File| a.path.cmp(&b.path));
        let test_only =
            files.iter().flat_map(|file| tokens::test_modules(&file.path, &file.tokens())).collect();
        Ok(Self { root: root.to_path_buf(), files, test_only })
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    pub(super) fn rust_files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.tokens.is_some())
    }

    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether `path` exists, text or not.
    pub(super) fn exists(&self, path: &Path) -> bool {
        self.root.join(path).exists()
    }

    /// Whether the file belongs to a module declared under `#[cfg(test)]`.
    pub(super) fn is_test_only(&self, file: &File) -> bool {
        let mut path = file.path.strip_suffix(".rs").unwrap_or(&file.path);
        loop {
            if self.test_only.contains(path) {
                return true;
            }
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => return false,
            }
        }
    }
}

impl File {
    /// The tokens of a Rust file; nothing for any other, or one that is broken.
    pub(super) fn tokens(&self) -> TokenStream {
        self.tokens.as_ref().and_then(|tokens| tokens.as_ref().ok()).cloned().unwrap_or_default()
    }

    /// What keeps a `.rs` file from being Rust.
    pub(super) fn broken(&self) -> Option<&(usize, String)> {
        self.tokens.as_ref().and_then(|tokens| tokens.as_ref().err())
    }

    /// Whether one of its directories has this name.
    pub(super) fn is_in_directory(&self, name: &str) -> bool {
        self.path
            .rsplit_once('/')
            .is_some_and(|(directories, _)| directories.split('/').any(|part| part == name))
    }

    /// The lines with their numbers, from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn walk(root: &Path, below: &str, files: &mut Vec<File>) -> Result {
    let directory = root.join(below);
    for entry in fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && is_ours(&name, &path) {
            walk(root, &path, files)?;
        } else if kind.is_file()
            && path != SECOND_TREE
            && !SKIPPED_ENDINGS.iter().any(|ending| name.ends_with(ending))
        {
            // What is no text has no lines to complain about.
            let Ok(text) = String::from_utf8(fs::read(entry.path())?) else { continue };
            let tokens = name.ends_with(".rs").then(|| parse(&text));
            files.push(File { path, text, tokens });
        }
    }
    Ok(())
}

fn is_ours(name: &str, path: &str) -> bool {
    let hidden = name.starts_with('.') && !HIDDEN_BUT_OURS.contains(&name);
    !hidden && !MADE_BY_TOOLS.contains(&name) && !MADE_BY_FUZZING.contains(&path)
}

fn parse(text: &str) -> std::result::Result<TokenStream, (usize, String)> {
    // A byte order mark or a `#!` line is no token.
    let file = syn::parse_file(text).map_err(|error| (line_of(error.span(), text), error.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let body = match &file.shebang {
        Some(shebang) => text.strip_prefix(shebang.as_str()).unwrap_or(text),
        None => text,
    };
    body.parse().map_err(|error: LexError| (line_of(error.span(), text), error.to_string()))
}

/// What is missing at the end of the file has no span.
fn line_of(span: Span, text: &str) -> usize {
    if span.start() == span.end() { text.lines().count().max(1) } else { span.start().line }
}
