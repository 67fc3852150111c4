//! The form of the page that makes assertions.

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, Object};
use presence_protocol::{Errno, Ko};
use url::form_urlencoded;

use crate::http::body;
use crate::http::form::FORM;
use crate::http::refusal::Refusal;

/// For whom.
#[derive(Object)]
pub(super) struct EmailForm {
    /// Anybody `@dev.localhost`.
    #[oai(validator(pattern = "^[A-Za-z0-9_!#$%&'*+/=?^`{|}~.-]{1,64}@dev\\.localhost$"))]
    email: String,
}

impl EmailForm {
    /// For whom.
    pub(super) fn email(&self) -> &str {
        &self.email
    }
}

impl<'a> ApiExtractor<'a> for EmailForm {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    const PARAM_IS_REQUIRED: bool = true;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Type>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: FORM, schema: Self::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let (text, _) = body::text(request, body, &[FORM]).await?;
        let field = form_urlencoded::parse(text.as_bytes()).find(|(name, _)| name == "email");
        let email = field.map(|(_, value)| value.trim().to_owned());
        let missing = || Refusal::from(Ko::detailed(Errno::MissingField, "email"));
        Ok(Self { email: email.ok_or_else(missing)? })
    }
}
