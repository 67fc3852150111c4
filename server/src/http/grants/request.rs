//! The request for a grant: a user, and a body that is JSON, a form, or nothing.

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::{Example, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, Enum, ExtractParamOptions, Object};
use presence_protocol::{ApiError, Errno};
use presence_service::grants::RedirectTarget;

use crate::form::{UnverifiedForm, VerifiedForm};

use crate::http::body::{self, FORM, Fields, FromFields, JSON};
use crate::http::credential::{self, AuthenticatedRequest};
use crate::http::error_response::ErrorResponse;

/// The target of a redirect after the grant. May be left out.
#[derive(Object)]
#[oai(rename = "GrantRequest", example)]
struct GrantJson {
    /// A page on the Application's verified domain.
    redirect: Option<String>,
    /// A value that the Application gets back unchanged, in the field `state` of the redirect's
    /// query. It should belong to the browser's session with the Application.
    state: Option<String>,
}

impl Example for GrantJson {
    fn example() -> Self {
        let form = GrantForm::example();
        Self { redirect: form.redirect, state: form.state }
    }
}

impl FromFields for GrantJson {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            redirect: fields.optional("redirect", "a URL")?,
            state: fields.optional("state", "a string")?,
        })
    }
}

/// The decision of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum Decision {
    /// The Application may see the user.
    Yes,
    /// The Application may not see the user.
    No,
}

/// The form of a consent page.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct GrantForm {
    /// A page on the Application's verified domain. An empty field counts as absent.
    redirect: Option<String>,
    /// A value that the Application gets back unchanged. An empty field counts as absent.
    state: Option<String>,
    /// The domain of the Application that the page shows. If the Application has another one
    /// meanwhile, nothing is granted. An empty field counts as absent.
    domain: Option<String>,
    /// The CSRF token of the session. Required if the request is authenticated by the cookie.
    csrf_token: Option<String>,
    /// The decision of the user. Required, unless the form has `allow` or `disallow`.
    decision: Option<Decision>,
    /// The button for a yes in the forms of 2013, with any value.
    allow: Option<String>,
    /// The button for a no in the forms of 2013, with any value.
    disallow: Option<String>,
}

impl Example for GrantForm {
    fn example() -> Self {
        Self {
            redirect: Some("https://chess.example.org/joined".to_owned()),
            state: Some("af0ifjsldkj".to_owned()),
            domain: Some("chess.example.org".to_owned()),
            csrf_token: None,
            decision: Some(Decision::Yes),
            allow: None,
            disallow: None,
        }
    }
}

/// A request for a grant that no other site could have made, by a session that may give one.
pub(super) struct VerifiedGrantRequest {
    /// The user's session.
    pub(super) auth: AuthenticatedRequest,
    /// The body.
    pub(super) body: GrantBody,
}

/// The body of a request for a grant.
pub(super) enum GrantBody {
    /// The JSON of a script. An empty body counts as one.
    Json(RedirectTarget),
    /// The form of a page.
    Form(GrantDecision),
}

/// The fields of the form of a consent page.
pub(super) struct GrantDecision {
    /// The redirect that the Application asks for.
    pub(super) target: RedirectTarget,
    /// The decision of the user.
    pub(super) decision: Decision,
}

impl GrantDecision {
    fn from_form(form: &VerifiedForm) -> Result<Self, ApiError> {
        let field = |name: &str| form.untrimmed(name).map(str::to_owned);
        let decision = decision_of(form)?;
        let target = RedirectTarget {
            redirect: field("redirect"),
            state: field("state"),
            shown_domain: field("domain"),
        };
        Ok(Self { target, decision })
    }
}

/// Returns the decision of a form. The forms of 2013 have the buttons `allow` and `disallow`
/// instead. Nothing but a clear yes is one.
fn decision_of(form: &VerifiedForm) -> Result<Decision, ApiError> {
    let (allow, disallow) = (form.raw("allow").is_some(), form.raw("disallow").is_some());
    match form.raw("decision") {
        Some("no") => Ok(Decision::No),
        Some("yes") | None if disallow => Ok(Decision::No),
        Some("yes") => Ok(Decision::Yes),
        None if allow => Ok(Decision::Yes),
        None => Err(ApiError::detailed(Errno::MissingField, "decision")),
        Some(_) => Err(body::invalid("decision", "yes or no")),
    }
}

impl VerifiedGrantRequest {
    async fn read(request: &Request) -> Result<Self, ErrorResponse> {
        let auth = AuthenticatedRequest::of(request).await?;
        auth.check_scope()?;
        let (text, media_type) = body::text(request, &[JSON, FORM]).await?;
        if media_type == Some(FORM) {
            let form = UnverifiedForm::parse(&text).verify(&auth.csrf_check())?;
            let body = GrantBody::Form(GrantDecision::from_form(&form)?);
            return Ok(Self { auth, body });
        }
        let target = if text.is_empty() {
            RedirectTarget::default()
        } else {
            let GrantJson { redirect, state } = body::read(&text)?;
            RedirectTarget { redirect, state, shown_domain: None }
        };
        auth.csrf_check().check()?;
        Ok(Self { auth, body: GrantBody::Json(target) })
    }
}

impl<'a> ApiExtractor<'a> for VerifiedGrantRequest {
    const TYPES: &'static [ApiExtractorType] =
        &[ApiExtractorType::SecurityScheme, ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        credential::register_schemes(registry);
        GrantJson::register(registry);
        GrantForm::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        credential::session_schemes()
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![
            MetaMediaType { content_type: JSON, schema: GrantJson::schema_ref() },
            MetaMediaType { content_type: FORM, schema: GrantForm::schema_ref() },
        ];
        Some(MetaRequest { description: None, content, required: false })
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::read(request).await?)
    }
}
