//! The body of a grant: JSON, a form, or nothing.

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::{Example, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, Enum, ExtractParamOptions, Object};
use presence_protocol::ApiError;
use presence_service::grants::RedirectTarget;

use crate::form::{UnverifiedForm, VerifiedForm};

use super::body::{self, Fields, FromFields, JSON};

/// The media type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Where the user wants to go afterwards.
#[derive(Object)]
#[oai(example)]
struct GrantRequest {
    /// A page on the Application's verified domain.
    redirect: Option<String>,
    /// What the Application wants to get back untouched: the field `state` of the redirect's query. It should bind the answer to
    /// the browser that asked.
    state: Option<String>,
}

impl Example for GrantRequest {
    fn example() -> Self {
        let form = GrantForm::example();
        Self { redirect: form.redirect, state: form.state }
    }
}

impl FromFields for GrantRequest {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            redirect: fields.optional("redirect", "a URL")?,
            state: fields.optional("state", "a text")?,
        })
    }
}

/// What the user says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum Decision {
    /// The Application may see the user.
    Yes,
    /// It may not.
    No,
}

/// The form of a consent page.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct GrantForm {
    /// As in JSON; empty is as if it were not there.
    redirect: Option<String>,
    /// As in JSON.
    state: Option<String>,
    /// The token of the session; needed where the browser is known by the cookie.
    csrf_token: Option<String>,
    /// What the user says, yes where the form does not say.
    decision: Option<Decision>,
}

impl Example for GrantForm {
    fn example() -> Self {
        Self {
            redirect: Some("https://chess.example.org/joined".to_owned()),
            state: Some("af0ifjsldkj".to_owned()),
            csrf_token: None,
            decision: Some(Decision::Yes),
        }
    }
}

/// The body of a grant.
pub(super) enum GrantBody {
    /// A script asks.
    Json(RedirectTarget),
    /// A page asks.
    Form(UnverifiedForm),
}

/// The fields of the form of a consent page.
pub(super) struct GrantDecision {
    /// Where the user wants to go afterwards.
    pub(super) target: RedirectTarget,
    /// What the user says.
    pub(super) decision: Decision,
}

impl GrantDecision {
    /// Reads the fields.
    pub(super) fn of_form(form: &VerifiedForm) -> Result<Self, ApiError> {
        let field = |name: &str| form.untrimmed(name).map(str::to_owned);
        // An empty decision is no consent: only a form that does not ask grants by being sent.
        let decision = match form.raw("decision") {
            None | Some("yes") => Decision::Yes,
            Some("no") => Decision::No,
            Some(_) => return Err(body::invalid("decision", "yes or no")),
        };
        Ok(Self {
            target: RedirectTarget { redirect: field("redirect"), state: field("state") },
            decision,
        })
    }
}

impl<'a> ApiExtractor<'a> for GrantBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        GrantRequest::register(registry);
        GrantForm::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![
            MetaMediaType { content_type: JSON, schema: GrantRequest::schema_ref() },
            MetaMediaType { content_type: FORM, schema: GrantForm::schema_ref() },
        ];
        Some(MetaRequest { description: None, content, required: false })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let (text, media_type) = body::text(request, body, &[JSON, FORM]).await?;
        if media_type == Some(FORM) {
            return Ok(Self::Form(UnverifiedForm::parse(&text)));
        }
        if text.is_empty() {
            return Ok(Self::Json(RedirectTarget::default()));
        }
        let GrantRequest { redirect, state } = body::read(&text)?;
        Ok(Self::Json(RedirectTarget { redirect, state }))
    }
}
