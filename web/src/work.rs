//! Routes of long work: `POST` begins it, `GET .../events` follows it, `DELETE` stops it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use ganscope::Error;
use serde_json::json;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt as _};

use crate::jobs::{Job, State as Progress};
use crate::reply::{Reply, bytes};
use crate::server::Server;

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/work/{id}", get(result).delete(stop))
        .route("/api/work/{id}/events", get(events))
        .route("/api/work/{id}/{file}", get(file))
}

/// The answer to a request that began something.
pub(crate) fn begun(job: &Job) -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "work": job.id }))).into_response()
}

async fn events(
    State(server): State<Arc<Server>>,
    Path(id): Path<u64>,
) -> Reply<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let states = WatchStream::new(server.jobs.get(id)?.states());
    // One more event after the last, so that the stream ends by itself.
    let mut over = false;
    let states = states
        .take_while(move |state: &Progress| !std::mem::replace(&mut over, state.phase.is_final()));
    let event = |state: Progress| Ok(Event::default().json_data(state).unwrap_or_default());
    Ok(Sse::new(states.map(event)).keep_alive(KeepAlive::default()))
}

async fn result(State(server): State<Arc<Server>>, Path(id): Path<u64>) -> Reply {
    let job = server.jobs.get(id)?;
    let unfinished = || Error::not_found(format!("work {id} has no result"));
    let done = job.done().ok_or_else(unfinished)?;
    let files: Vec<&String> = done.files.keys().collect();
    Ok(Json(json!({ "result": done.json, "files": files })).into_response())
}

async fn file(State(server): State<Arc<Server>>, Path((id, name)): Path<(u64, String)>) -> Reply {
    let job = server.jobs.get(id)?;
    let found = job.done().and_then(|done| done.files.get(&name));
    let (kind, content) =
        found.ok_or_else(|| Error::not_found(format!("work {id} has no file `{name}`")))?;
    Ok(bytes(kind, content.clone()))
}

async fn stop(State(server): State<Arc<Server>>, Path(id): Path<u64>) -> Reply<StatusCode> {
    server.jobs.get(id)?.stop();
    Ok(StatusCode::NO_CONTENT)
}
