//! The headers that are sent with traces.

use poem::http::{HeaderMap, HeaderName, HeaderValue};

use super::definition::Settings;

/// The start of a line that is a comment.
const COMMENT: char = '#';

impl Settings {
    /// Reads the headers from their file. There are none without a file.
    ///
    /// # Errors
    ///
    /// One line that names the setting and the line of the file, and does not show it.
    pub(crate) fn traces_headers(&self) -> Result<HeaderMap, String> {
        let path = &self.traces_headers_file;
        if path.is_empty() {
            return Ok(HeaderMap::new());
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("traces_headers_file: {path} cannot be read: {error}"))?;
        let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
        let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with(COMMENT));
        let mut headers = HeaderMap::new();
        for (line, number) in lines {
            let (name, value) = header(line).ok_or_else(|| {
                format!("traces_headers_file: line {number} of {path} is not \"name: value\"")
            })?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}

/// Parses a header. Its value is marked as a secret, so that no library shows it.
fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::from_bytes(name.trim_end().as_bytes()).ok()?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_header_and_a_wrong_one_is_named_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("headers");
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let traces_headers_file = path.display().to_string();
            Settings { traces_headers_file, ..Settings::default() }.traces_headers()
        };
        let headers =
            of("# a token\n\nAuthorization: Bearer hidden:1 \nx-tenant:presence\n").unwrap();
        assert_eq!(
            (headers.len(), headers["authorization"].to_str().unwrap()),
            (2, "Bearer hidden:1")
        );
        assert!(headers["x-tenant"] == "presence" && !format!("{headers:?}").contains("hidden"));
        for wrong in ["x-tenant: presence\nhidden", "hid den: 1", "hidden: \u{1}"] {
            let error = of(wrong).unwrap_err();
            assert!(error.contains("line ") && !error.contains("hid"), "{error}");
        }
        assert!(Settings::default().traces_headers().unwrap().is_empty());
        let traces_headers_file = "/nowhere/headers".to_owned();
        assert!(Settings { traces_headers_file, ..Settings::default() }.traces_headers().is_err());
    }
}
