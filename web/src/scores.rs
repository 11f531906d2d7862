//! Routes of scores: the map of two sets, and questions about it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Json, Router};
use ganscope::Error;
use ganscope::score::growth::{GrowthRequest, growth};
use ganscope::score::map::{MapRequest, ScoreMap, map};
use ganscope::score::{ScoreRequest, score};
use ganscope::stats::Side;
use serde::Deserialize;
use serde_json::json;

use crate::jobs::Done;
use crate::reply::{Reply, picture};
use crate::server::{Server, parsed};
use crate::work::begun;

/// Maps that are kept for questions.
const KEPT: usize = 2;
/// Reference images that are told for a generated one.
const NEAREST: usize = 5;

/// The last maps, by number.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    known: Mutex<VecDeque<(u64, Arc<ScoreMap>)>>,
}

impl Maps {
    /// Keeps a map and returns its number.
    fn keep(&self, map: Arc<ScoreMap>) -> u64 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let id = known.back().map_or(1, |(id, _)| id + 1);
        known.push_back((id, map));
        if known.len() > KEPT {
            known.pop_front();
        }
        id
    }

    /// A map by its number.
    ///
    /// # Errors
    /// If it is not kept any more.
    pub(crate) fn get(&self, id: u64) -> Result<Arc<ScoreMap>, Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(known, _)| *known == id);
        let gone = || Error::not_found(format!("map {id} is not kept any more"));
        found.map(|(_, map)| map.clone()).ok_or_else(gone)
    }
}

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/score", post(begin_score))
        .route("/api/growth", post(begin_growth))
        .route("/api/map", post(begin))
        .route("/api/map/{id}/without", post(without))
        .route("/api/map/{id}/nearest/{image}", get(nearest))
        .route("/api/map/{id}/{side}/{image}", get(image))
}

async fn begin_score(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request = server.allowed.score(parsed::<ScoreRequest>(&body)?)?;
    let job = server.jobs.submit(move |watch| {
        Ok(Done { json: serde_json::to_value(score(&request, watch)?)?, ..Done::default() })
    })?;
    Ok(begun(&job))
}

async fn begin_growth(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request = server.allowed.growth(parsed::<GrowthRequest>(&body)?)?;
    let job = server.jobs.submit(move |watch| {
        Ok(Done { json: serde_json::to_value(growth(&request, watch)?)?, ..Done::default() })
    })?;
    Ok(begun(&job))
}

async fn begin(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request = server.allowed.map(parsed::<MapRequest>(&body)?)?;
    let shared = server.clone();
    let job = server.jobs.submit(move |watch| {
        let found = Arc::new(map(&request, watch)?);
        let mut json = serde_json::to_value(&*found)?;
        json["map"] = shared.maps.keep(found).into();
        Ok(Done { json, ..Done::default() })
    })?;
    Ok(begun(&job))
}

/// The images that are left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Without {
    images: Vec<usize>,
}

async fn without(State(server): State<Arc<Server>>, Path(id): Path<u64>, body: Bytes) -> Reply {
    let Without { images } = parsed(&body)?;
    let map = server.maps.get(id)?;
    let distance = server.aside.run("the distance", move || map.without(&images)).await?;
    Ok(Json(json!({ "distance": distance })).into_response())
}

async fn nearest(
    State(server): State<Arc<Server>>,
    Path((id, image)): Path<(u64, usize)>,
) -> Reply {
    let map = server.maps.get(id)?;
    let found = server.aside.run("the search", move || map.nearest(image, NEAREST)).await?;
    let found: Vec<_> = found
        .iter()
        .map(|(image, distance)| json!({ "image": image, "distance": distance }))
        .collect();
    Ok(Json(found).into_response())
}

/// The side that a path names.
///
/// # Errors
/// If it is neither `generated` nor `reference`.
pub(crate) fn side(name: &str) -> Result<Side, Error> {
    match name {
        "generated" => Ok(Side::Generated),
        "reference" => Ok(Side::Reference),
        _ => Err(Error::not_found(format!("no side `{name}`, expected generated or reference"))),
    }
}

async fn image(
    State(server): State<Arc<Server>>,
    Path((id, name, image)): Path<(u64, String, usize)>,
) -> Reply {
    let (map, side) = (server.maps.get(id)?, side(&name)?);
    picture(&server.aside.run("reading an image", move || map.image(side, image)).await?)
}
