//! Reading Rust at the level of its tokens: comments and strings are not there, macros and `use` groups are.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A path such as `std::time::Instant`, wherever it stands. Each leaf of a `use` group is a path of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathUse {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
    /// In a `use` or after `extern crate`.
    pub(super) imported: bool,
    /// `path::*`
    pub(super) glob: bool,
    /// `path as name`
    pub(super) renamed: bool,
}

/// Every path in `tokens`, in macros too.
pub(super) fn paths(tokens: TokenStream) -> Vec<PathUse> {
    let mut found = Vec::new();
    scan(&trees(tokens), &mut found);
    found
}

/// An attribute: what is between its brackets, the line, and whether it is `#![..]`.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) tokens: Vec<TokenTree>,
    pub(super) line: usize,
    pub(super) inner: bool,
}

impl Attribute {
    /// The first identifier: `cfg` of `#[cfg(test)]`.
    pub(super) fn is(&self, name: &str) -> bool {
        ident(self.tokens.first()).is_some_and(|found| found == name)
    }

    /// `#[cfg(test)]` or `#[cfg(all(test, ..))]`.
    fn is_cfg_test(&self) -> bool {
        let [_, TokenTree::Group(arguments)] = self.tokens.as_slice() else { return false };
        self.is("cfg") && implies_test(&trees(arguments.stream()))
    }
}

/// Every attribute in `tokens`, at any depth.
pub(super) fn attributes(tokens: TokenStream) -> Vec<Attribute> {
    let tokens = trees(tokens);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(tree) = tokens.get(at) {
        if let Some((attribute, next)) = attribute_at(&tokens, at) {
            found.push(attribute);
            at = next;
            continue;
        }
        if let TokenTree::Group(group) = tree {
            found.extend(attributes(group.stream()));
        }
        at += 1;
    }
    found
}

/// `tokens` without the items whose attributes satisfy `unwanted`.
pub(super) fn without(tokens: TokenStream, unwanted: &impl Fn(&Attribute) -> bool) -> TokenStream {
    let tokens = trees(tokens);
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(tree) = tokens.get(at) {
        if let Some((attribute, next)) = attribute_at(&tokens, at) {
            if unwanted(&attribute) {
                if attribute.inner {
                    return TokenStream::new();
                }
                at = end_of_item(&tokens, next);
                continue;
            }
            kept.extend(tokens.get(at..next).unwrap_or_default().iter().cloned());
            at = next;
            continue;
        }
        kept.push(match tree {
            TokenTree::Group(group) => {
                let mut filtered = Group::new(group.delimiter(), without(group.stream(), unwanted));
                filtered.set_span(group.span());
                filtered.into()
            }
            other => other.clone(),
        });
        at += 1;
    }
    kept.into_iter().collect()
}

/// `tokens` without what only tests see.
pub(super) fn without_tests(tokens: TokenStream) -> TokenStream {
    without(tokens, &Attribute::is_cfg_test)
}

/// The paths, without `.rs`, of the modules that the file at `path` declares with `#[cfg(test)] mod name;`.
pub(super) fn test_modules(path: &str, tokens: &TokenStream) -> Vec<String> {
    let tokens = trees(tokens.clone());
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some((attribute, next)) = attribute_at(&tokens, at) else {
            at += 1;
            continue;
        };
        at = next;
        if attribute.is_cfg_test() {
            let end = end_of_item(&tokens, next);
            if let [.., keyword, name, semicolon] = tokens.get(next..end).unwrap_or_default()
                && ident(Some(keyword)).is_some_and(|keyword| keyword == "mod")
                && is_punct(Some(semicolon), ';')
            {
                found.push(format!("{}{name}", module_directory(path)));
            }
            at = end;
        }
    }
    found
}

/// The directory of the modules that the file declares, with its slash: `src/` for `src/lib.rs`, `src/a/` for `src/a.rs`.
pub(super) fn module_directory(path: &str) -> String {
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(directory, name)| (directory, name));
    let slash = if directory.is_empty() { "" } else { "/" };
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => format!("{directory}{slash}"),
        _ => format!("{}/", path.strip_suffix(".rs").unwrap_or(path)),
    }
}

pub(super) fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().collect()
}

pub(super) fn line_of(tree: &TokenTree) -> usize {
    tree.span().start().line
}

pub(super) fn ident(tree: Option<&TokenTree>) -> Option<&Ident> {
    match tree {
        Some(TokenTree::Ident(ident)) => Some(ident),
        _ => None,
    }
}

pub(super) fn is_punct(tree: Option<&TokenTree>, wanted: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn scan(tokens: &[TokenTree], found: &mut Vec<PathUse>) {
    let mut imported = false;
    let mut at = 0;
    while let Some(tree) = tokens.get(at) {
        match tree {
            // `use {a, b};`
            TokenTree::Group(group) if imported && group.delimiter() == Delimiter::Brace => {
                at = path_at(tokens, at, &[], imported, found);
            }
            TokenTree::Group(group) => {
                scan(&trees(group.stream()), found);
                at += 1;
            }
            TokenTree::Ident(name) if *name == "use" || *name == "extern" => {
                imported = true;
                at += 1;
                if ident(tokens.get(at)).is_some_and(|next| next == "crate") && *name == "extern" {
                    at += 1;
                }
                continue;
            }
            TokenTree::Ident(_) if is_member(tokens, at) => at += 1,
            TokenTree::Ident(_) => at = path_at(tokens, at, &[], imported, found),
            TokenTree::Punct(punct) if imported && punct.as_char() == ':' => {
                at += 1;
                continue;
            }
            _ => at += 1,
        }
        imported = false;
    }
}

/// Whether the word at `at` names a field or a method: after one dot, not after the two of a range.
fn is_member(tokens: &[TokenTree], at: usize) -> bool {
    let dot_before = |back: usize| at.checked_sub(back).is_some_and(|at| is_punct(tokens.get(at), '.'));
    dot_before(1) && !dot_before(2)
}

/// Reads the path that begins at `at` into `found` and returns where it ends.
fn path_at(
    tokens: &[TokenTree],
    mut at: usize,
    prefix: &[String],
    imported: bool,
    found: &mut Vec<PathUse>,
) -> usize {
    let mut path = PathUse { segments: prefix.to_vec(), line: 0, imported, glob: false, renamed: false };
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(name)) => {
                let name = name.to_string();
                path.segments.push(name.strip_prefix("r#").unwrap_or(&name).to_owned());
                path.line = tokens.get(at).map_or(0, line_of);
                at += 1;
                if is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
                    at += 2;
                    continue;
                }
                path.renamed = ident(tokens.get(at)).is_some_and(|next| next == "as");
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace && imported => {
                for leaf in trees(group.stream()).split(|tree| is_punct(Some(tree), ',')) {
                    let leading = leaf.iter().take_while(|tree| is_punct(Some(tree), ':')).count();
                    path_at(leaf, leading, &path.segments, imported, found);
                }
                return at + 1;
            }
            Some(star) if is_punct(Some(star), '*') && !path.segments.is_empty() => {
                path.glob = true;
                path.line = line_of(star);
                at += 1;
            }
            _ => {}
        }
        if path.line > 0 {
            found.push(path);
        }
        return at;
    }
}

/// The attribute that begins at `at`, and where it ends.
fn attribute_at(tokens: &[TokenTree], at: usize) -> Option<(Attribute, usize)> {
    if !is_punct(tokens.get(at), '#') {
        return None;
    }
    let inner = is_punct(tokens.get(at + 1), '!');
    let brackets = at + 1 + usize::from(inner);
    let Some(TokenTree::Group(group)) = tokens.get(brackets) else { return None };
    if group.delimiter() != Delimiter::Bracket {
        return None;
    }
    let line = tokens.get(at).map_or(0, line_of);
    Some((Attribute { tokens: trees(group.stream()), line, inner }, brackets + 1))
}

/// Where the item that begins at `at`, after an attribute, ends: after its `;` or its braces, or, for a field, a variant
/// or an expression, after its comma.
fn end_of_item(tokens: &[TokenTree], mut at: usize) -> usize {
    while let Some((_, next)) = attribute_at(tokens, at) {
        at = next;
    }
    let is_item = tokens.iter().skip(at).take(4).any(|tree| {
        const KEYWORDS: &[&str] = &[
            "fn",
            "mod",
            "impl",
            "struct",
            "enum",
            "use",
            "const",
            "static",
            "trait",
            "type",
            "extern",
            "macro_rules",
        ];
        ident(Some(tree)).is_some_and(|word| KEYWORDS.iter().any(|keyword| word == keyword))
    });
    while let Some(tree) = tokens.get(at) {
        at += 1;
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return at,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return at,
            TokenTree::Punct(punct) if punct.as_char() == ',' && !is_item => return at,
            _ => {}
        }
    }
    at
}

/// Whether a `cfg` predicate holds in tests only: `test`, or `all(..)` of which one part does.
fn implies_test(predicate: &[TokenTree]) -> bool {
    match predicate {
        [TokenTree::Ident(name)] => name == "test",
        [TokenTree::Ident(name), TokenTree::Group(parts)] if name == "all" => {
            trees(parts.stream()).split(|tree| is_punct(Some(tree), ',')).any(implies_test)
        }
        _ => false,
    }
}
