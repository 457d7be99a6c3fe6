//! Reports of a sweep, whole.

mod columns;
mod lines;
mod merging;
mod people;

/// The text without the version: a release changes no golden file.
fn without_version(text: &[u8]) -> String {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.replace(&format!(r#""version":"{}""#, env!("CARGO_PKG_VERSION")), r#""version":"0""#)
}
