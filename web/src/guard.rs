//! Who gets in: the one with the token of the address, from the page itself.
//!
//! A page elsewhere can make a browser send requests here. It does not know the token, its requests
//! carry its own `Origin`, and a name of its own that resolves to this machine arrives as `Host`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, LOCATION, ORIGIN,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::reply::refusal;

/// Name of the cookie with the token.
const COOKIE_NAME: &str = "ganscope";

/// What a page of ours may do: load from here, and show pictures that it made itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The keeper of the door.
#[derive(Debug)]
pub(crate) struct Guard {
    token: String,
    /// `Host` headers of this server, in lower case.
    hosts: Vec<String>,
}

impl Guard {
    /// A guard with a fresh token for a server at `address`.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn new(address: SocketAddr) -> std::io::Result<Self> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let token = bytes.iter().fold(String::new(), |token, byte| token + &format!("{byte:02x}"));
        let port = address.port();
        let mut hosts = vec![address.to_string()];
        if address.ip().is_loopback() || address.ip().is_unspecified() {
            let names = ["localhost", "127.0.0.1", "[::1]"];
            hosts.extend(names.map(|name| format!("{name}:{port}")));
        }
        Ok(Self { token, hosts })
    }

    /// The address that lets in.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        let host = match address {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => format!("127.0.0.1:{}", v4.port()),
            other => other.to_string(),
        };
        format!("http://{host}/?token={}", self.token)
    }

    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        host.is_some_and(|host| self.hosts.contains(&host.to_ascii_lowercase()))
    }

    /// Whether a request comes from a page of this server, or from no page.
    fn knows_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let host = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        host.is_some_and(|host| self.hosts.contains(&host.to_ascii_lowercase()))
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).map(str::trim);
        pairs.any(|pair| {
            pair.split_once('=')
                .is_some_and(|(name, value)| name == COOKIE_NAME && self.is_token(value))
        })
    }

    /// Whether `text` is the token, in a time that does not tell how much of it is.
    fn is_token(&self, text: &str) -> bool {
        let (ours, given) = (self.token.as_bytes(), text.as_bytes());
        ours.len() == given.len() && ours.iter().zip(given).fold(0, |d, (a, b)| d | (a ^ b)) == 0
    }
}

/// Lets a request through, or refuses it, on every route.
pub(crate) async fn watch(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = admit(&guard, request, next).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn admit(guard: &Guard, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !guard.knows_host(headers) {
        return refusal(
            StatusCode::MISDIRECTED_REQUEST,
            "this is not the server of that name",
            None,
        );
    }
    if !guard.knows_origin(headers) {
        return refusal(StatusCode::FORBIDDEN, "requests of other pages are refused", None);
    }
    let query = request.uri().query().unwrap_or_default();
    let token = query.split('&').find_map(|pair| pair.strip_prefix("token="));
    if request.uri().path() == "/" && token.is_some_and(|token| guard.is_token(token)) {
        let cookie = format!("{COOKIE_NAME}={}; HttpOnly; SameSite=Strict; Path=/", guard.token);
        return (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)])
            .into_response();
    }
    if guard.has_cookie(headers) {
        return next.run(request).await;
    }
    let advice = "open the address that `ganscope serve` printed, with its token";
    refusal(StatusCode::UNAUTHORIZED, "the token is missing or wrong", Some(advice))
}
