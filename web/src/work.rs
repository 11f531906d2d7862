//! Routes of long work: `POST` begins it, `GET .../events` follows it, `DELETE` stops it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream::{Stream, unfold};
use ganscope::Error;
use serde_json::json;
use tokio::sync::watch::Receiver;

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
    let mut states = server.jobs.get(id)?.states();
    // The present state is the first event.
    states.mark_changed();
    let next = |(mut states, over): (Receiver<Progress>, bool)| async move {
        if over || states.changed().await.is_err() {
            return None;
        }
        let state = states.borrow_and_update().clone();
        let over = state.phase.is_final();
        let event = Event::default().json_data(state).unwrap_or_default();
        Some((Ok(event), (states, over)))
    };
    Ok(Sse::new(unfold((states, false), next)).keep_alive(KeepAlive::default()))
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
