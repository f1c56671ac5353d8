//! A Rust file, as far as comments and tests go.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Group, LexError, TokenStream, TokenTree};

/// One file.
#[derive(Debug)]
pub(super) struct RustFile {
    /// The file with blanks for its literals: what is left of words in quotes is in comments.
    text: String,
    pub(super) functions: Vec<Function>,
    /// The lines that only tests see.
    tests: Vec<RangeInclusive<usize>>,
}

/// One function, in a macro too.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: String,
    /// The line of its name.
    pub(super) line: usize,
    /// The line of its first attribute or doc comment, or of its name.
    first_line: usize,
    pub(super) is_test: bool,
}

impl RustFile {
    pub(super) fn parse(text: &str) -> Result<Self, LexError> {
        let tokens: TokenStream = text.parse()?;
        let mut file = Self { text: String::new(), functions: Vec::new(), tests: Vec::new() };
        let mut bytes = text.as_bytes().to_vec();
        file.walk(tokens, &mut bytes);
        file.text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(file)
    }

    /// The lines with their numbers, from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub(super) fn is_in_tests(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// The lines from the comments right above the function's attributes to its name.
    pub(super) fn above<'a>(&'a self, function: &Function) -> impl Iterator<Item = &'a str> {
        let lines: Vec<&str> = self.text.lines().take(function.line).collect();
        let is_comment = |line: &&&str| line.trim_start().starts_with("//");
        let before = lines.iter().take(function.first_line.saturating_sub(1));
        let first = before.len() - before.rev().take_while(is_comment).count();
        lines.into_iter().skip(first)
    }

    /// Notes functions and what is for tests in `tokens`, and puts blanks over the literals in `bytes`.
    fn walk(&mut self, tokens: TokenStream, bytes: &mut [u8]) {
        let mut tokens = tokens.into_iter().peekable();
        let mut attributes = Attributes::default();
        while let Some(token) = tokens.next() {
            let line = token.span().start().line;
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(TokenTree::Group(group)) = tokens.peek()
                        && group.delimiter() == Delimiter::Bracket
                    {
                        attributes.add(line, group);
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => attributes = Attributes::default(),
                TokenTree::Ident(word) if word == "fn" => {
                    if let Some(TokenTree::Ident(name)) = tokens.peek() {
                        self.functions.push(Function {
                            name: name.to_string(),
                            line: name.span().start().line,
                            first_line: attributes.first_line.unwrap_or(line),
                            is_test: attributes.test,
                        });
                    }
                }
                TokenTree::Group(group) => {
                    self.walk(group.stream(), bytes);
                    if group.delimiter() == Delimiter::Brace {
                        if attributes.cfg_test {
                            self.tests.push(line..=group.span_close().end().line);
                        }
                        attributes = Attributes::default();
                    }
                }
                TokenTree::Literal(literal) => blank(bytes.get_mut(literal.span().byte_range())),
                _ => {}
            }
        }
    }
}

/// What the attributes of the item at hand say.
#[derive(Debug, Default)]
struct Attributes {
    first_line: Option<usize>,
    test: bool,
    cfg_test: bool,
}

impl Attributes {
    fn add(&mut self, line: usize, attribute: &Group) {
        self.first_line.get_or_insert(line);
        // `test`, `tokio::test` or `tokio::test(..)`, and `cfg(test)`
        let (mut path, mut arguments) = (Vec::new(), None);
        for token in attribute.stream() {
            match token {
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => arguments = arguments.or(Some(group.stream().to_string())),
                _ => {}
            }
        }
        self.test |= path.last().is_some_and(|word| word == "test");
        self.cfg_test |= path == ["cfg"] && arguments.is_some_and(|arguments| arguments == "test");
    }
}

/// A doc comment is a literal too, and stays.
fn blank(literal: Option<&mut [u8]>) {
    let Some(literal) = literal.filter(|text| !text.starts_with(b"//") && !text.starts_with(b"/*")) else {
        return;
    };
    for byte in literal.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}
