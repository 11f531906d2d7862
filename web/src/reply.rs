//! Answers: errors of the library as JSON, pictures as PNG.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use ganscope::images::{Image, encode_png};
use ganscope::{Error, Kind};
use serde_json::json;

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the library.
    Error(Error),
    /// There is more to do already than can be waited for.
    Busy,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The result of a route.
pub(crate) type Reply<T = Response> = Result<T, Failure>;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Busy => {
                let advice = Some("wait until something is finished, or stop it");
                refusal(StatusCode::SERVICE_UNAVAILABLE, "too much is waiting already", advice)
            }
            Self::Error(error) => {
                let status = match error.kind() {
                    Kind::NotFound => StatusCode::NOT_FOUND,
                    Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::BAD_REQUEST,
                };
                (status, Json(told(&error))).into_response()
            }
        }
    }
}

/// An error as JSON: what is wrong, and advice in the words of the page.
pub(crate) fn told(error: &Error) -> serde_json::Value {
    let word = &mut |task: Option<&str>, field: Option<&str>| match (task, field) {
        (None, field) => field.map(|field| format!("`{}`", field.replace('_', " "))),
        (Some(task), _) => Some(format!("`ganscope {task}`")),
    };
    json!({ "error": error.report(), "hint": error.hint().and_then(|hint| hint.words(word)) })
}

/// A refusal without an error of the library.
pub(crate) fn refusal(status: StatusCode, problem: &str, advice: Option<&str>) -> Response {
    (status, Json(json!({ "error": problem, "hint": advice }))).into_response()
}

/// A picture as bytes of a PNG.
///
/// # Errors
/// If it cannot be encoded.
pub(crate) fn png_of(image: &Image) -> Result<Vec<u8>, Error> {
    encode_png(image)
        .map_err(|error| Error::problem(Kind::Internal, format!("encode a picture: {error}")))
}

/// Bytes with their type.
pub(crate) fn bytes(kind: &'static str, bytes: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, kind)], bytes).into_response()
}

/// A picture.
pub(crate) fn picture(image: &Image) -> Reply {
    Ok(bytes("image/png", png_of(image)?))
}
