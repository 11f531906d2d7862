//! The files of the page.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

/// Paths, types and contents.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../assets/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../assets/style.css")),
    ("/icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ("/main.js", SCRIPT, include_str!("../assets/main.js")),
    ("/api.js", SCRIPT, include_str!("../assets/api.js")),
    ("/latents.js", SCRIPT, include_str!("../assets/latents.js")),
    ("/scores.js", SCRIPT, include_str!("../assets/scores.js")),
    ("/measured.js", SCRIPT, include_str!("../assets/measured.js")),
    ("/scatter.js", SCRIPT, include_str!("../assets/scatter.js")),
    ("/directions.js", SCRIPT, include_str!("../assets/directions.js")),
    ("/units.js", SCRIPT, include_str!("../assets/units.js")),
    ("/explain.js", SCRIPT, include_str!("../assets/explain.js")),
    ("/curve.js", SCRIPT, include_str!("../assets/curve.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A route for each file.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, &(path, kind, text)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], text) }))
    })
}
