//! Compression of what is the same for every visitor: the files that pages load, and the documents.
//!
//! Nothing else is compressed. The length of a compressed response depends on all of its parts
//! together, so somebody who can choose one part can guess another, such as the token of a form
//! (BREACH). A text that is compressed here has no secret, and no part that a visitor chose.

use std::io::Write as _;

use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use poem::http::{HeaderMap, HeaderValue, header};
use poem::{Body, FromRequest, Request, RequestBody, Response};

/// The quality of Brotli, from 0 to 11. A greater one takes seconds for a document.
const BROTLI_QUALITY: i32 = 9;

/// A content coding that a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentCoding {
    /// Brotli.
    Brotli,
    /// Gzip.
    Gzip,
    /// No compression.
    Identity,
}

impl ContentCoding {
    /// Returns the best coding that a client accepts.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT_ENCODING);
        let texts = || accepted.iter().filter_map(|value| value.to_str().ok());
        let accepts = |coding: &str| {
            texts().flat_map(|text| text.split(',')).any(|item| is_accepted(item, coding))
        };
        if accepts("br") {
            Self::Brotli
        } else if accepts("gzip") {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

impl<'a> FromRequest<'a> for ContentCoding {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self::of(request.headers()))
    }
}

/// Returns true if an item such as `gzip;q=0.5` accepts a coding. A quality of 0 refuses it.
fn is_accepted(item: &str, coding: &str) -> bool {
    let (name, parameter) = item.split_once(';').unwrap_or((item, ""));
    let quality = parameter.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
    name.trim().eq_ignore_ascii_case(coding) && quality.is_ok_and(|quality| quality > 0.0)
}

/// A text that every visitor may read, with its compressed forms.
#[derive(Debug)]
pub(crate) struct PublicText {
    plain: Bytes,
    /// The compressed forms; `None` if it is not shorter.
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
}

impl PublicText {
    /// Compresses a text. This takes some milliseconds for each 100 KB, so callers keep the result.
    pub(crate) fn new(text: impl Into<Bytes>) -> Self {
        let plain: Bytes = text.into();
        let shorter =
            |compressed: Vec<u8>| (compressed.len() < plain.len()).then(|| Bytes::from(compressed));
        let gzip = gzip(&plain).and_then(shorter);
        let brotli = brotli(&plain).and_then(shorter);
        Self { plain, gzip, brotli }
    }

    /// Sets the body of a response, and the headers of its coding.
    pub(crate) fn write_to(&self, response: &mut Response, accepted: ContentCoding) {
        let (body, coding) = match (accepted, &self.brotli, &self.gzip) {
            (ContentCoding::Brotli, Some(body), _) => (body, Some("br")),
            (ContentCoding::Gzip, _, Some(body)) => (body, Some("gzip")),
            (ContentCoding::Brotli | ContentCoding::Gzip | ContentCoding::Identity, ..) => {
                (&self.plain, None)
            }
        };
        response.set_body(Body::from(body.clone()));
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
    }
}

fn gzip(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

fn brotli(text: &[u8]) -> Option<Vec<u8>> {
    let parameters = BrotliEncoderParams { quality: BROTLI_QUALITY, ..Default::default() };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*text, &mut compressed, &parameters).ok()?;
    Some(compressed)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn accepted(header: &str) -> ContentCoding {
        let value = HeaderValue::from_str(header).unwrap();
        ContentCoding::of(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
    }

    #[test]
    fn the_best_coding_that_the_client_accepts_is_chosen() {
        assert_eq!(ContentCoding::of(&HeaderMap::new()), ContentCoding::Identity);
        assert_eq!(accepted("gzip, deflate, br, zstd"), ContentCoding::Brotli);
        assert_eq!(accepted("GZIP;q=0.5, br;q=0"), ContentCoding::Gzip);
        assert_eq!(accepted("br; q=0.0, gzip;q=0"), ContentCoding::Identity);
        assert_eq!(accepted("gzip;q=x, brotli"), ContentCoding::Identity);
    }

    #[tokio::test]
    async fn every_coding_gives_the_same_text() {
        let text = "To be compressed. ".repeat(100);
        let public = PublicText::new(text.clone());
        for coding in [ContentCoding::Brotli, ContentCoding::Gzip, ContentCoding::Identity] {
            let mut response = Response::default();
            public.write_to(&mut response, coding);
            let name = response.header(header::CONTENT_ENCODING).unwrap_or_default().to_owned();
            assert_eq!(response.header(header::VARY), Some("accept-encoding"));
            let body = response.take_body().into_bytes().await.unwrap();
            let mut read = Vec::new();
            match &*name {
                "br" => brotli::BrotliDecompress(&mut &*body, &mut read).unwrap(),
                "gzip" => drop(flate2::read::GzDecoder::new(&*body).read_to_end(&mut read)),
                _ => read.extend(&body),
            }
            assert_eq!(read, text.as_bytes(), "{coding:?}");
            assert_eq!(name.is_empty(), coding == ContentCoding::Identity);
            assert!(name.is_empty() || body.len() < 100, "{coding:?}: {}", body.len());
        }
    }

    #[test]
    fn a_text_that_gets_no_shorter_stays_as_it_is() {
        let mut response = Response::default();
        PublicText::new("x").write_to(&mut response, ContentCoding::Brotli);
        assert_eq!(response.header(header::CONTENT_ENCODING), None);
    }
}
