//! Routes of explanations: a picture of the visitor's, of a place, or of a set, by every method.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Json, Router};
use ganscope::catalog::METHODS;
use ganscope::explain::{ExplainRequest, Explained};
use ganscope::images::{Image, decode};
use ganscope::latents::plane::PlaceRequest;
use ganscope::weights::{Array, npy};
use ganscope::{Error, Result, Watch};
use serde::Deserialize;
use serde_json::json;

use crate::jobs::Done;
use crate::reply::{Reply, png_of};
use crate::scores::side;
use crate::server::{Server, parsed};
use crate::work::begun;

/// Pictures of visitors that are kept.
const KEPT: usize = 8;

/// The last pictures that visitors brought, by number.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    known: Mutex<VecDeque<(u64, Arc<Image>)>>,
    next: AtomicU64,
}

impl Pictures {
    fn keep(&self, image: Image) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back((id, Arc::new(image)));
        if known.len() > KEPT {
            known.pop_front();
        }
        id
    }

    fn get(&self, id: u64) -> Result<Image> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(known, _)| *known == id);
        let gone = || Error::not_found(format!("picture {id} is not kept any more"));
        found.map(|(_, image)| (**image).clone()).ok_or_else(gone)
    }
}

/// What is explained.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Subject {
    /// A picture that was brought, by its number.
    Picture(u64),
    /// The picture at a place of a generator.
    Place(Box<PlaceRequest>),
    /// An image of a map: the map, the side, the position.
    Member(u64, String, usize),
}

/// An explanation of one picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    subject: Subject,
    request: ExplainRequest,
}

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/methods", get(methods))
        .route("/api/picture", post(bring))
        .route("/api/explain", post(begin))
}

async fn methods() -> Reply {
    let about = |entry: &ganscope::catalog::MethodEntry| json!({ "name": entry.method.name(), "about": entry.about });
    Ok(Json(METHODS.iter().map(about).collect::<Vec<_>>()).into_response())
}

/// Takes a picture in any format that is read.
async fn bring(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let decoded = move || Ok(decode(&body, "the picture")?.image);
    let image = server.aside.run("decoding", decoded).await?;
    let (width, height) = (image.width, image.height);
    let id = server.pictures.keep(image);
    Ok(Json(json!({ "picture": id, "width": width, "height": height })).into_response())
}

async fn begin(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let Asked { subject, request } = parsed(&body)?;
    let request = server.allowed.explanation(request)?;
    if let Subject::Place(place) = &subject {
        server.allowed.place(place)?;
    }
    let shared = server.clone();
    let job = server.jobs.submit(move |watch| {
        let (name, image) = shared.subject(&subject, watch)?;
        packed(&request.open(watch)?.explain_image(&name, image, watch)?)
    })?;
    Ok(begun(&job))
}

impl Server {
    fn subject(&self, subject: &Subject, watch: &mut dyn Watch) -> Result<(String, Image)> {
        Ok(match subject {
            Subject::Picture(id) => ("picture".to_owned(), self.pictures.get(*id)?),
            Subject::Place(place) => {
                (place.drawing.model.clone(), self.wandering.picture(place, watch)?)
            }
            Subject::Member(map, name, i) => {
                (format!("{name} {i}"), self.maps.get(*map)?.image(side(name)?, *i)?)
            }
        })
    }
}

/// The numbers, and for each method its map in colors and as an array.
fn packed(found: &Explained) -> Result<Done> {
    let scales: Vec<_> = found
        .maps
        .iter()
        .map(|map| json!({ "evidence": map.evidence.name(), "scale": map.scale() }))
        .collect();
    let json = json!({ "report": found.report, "title": found.title, "heading": found.heading(), "scales": scales });
    let mut done = Done { json, ..Done::default() };
    let mut keep = |name: String, kind, bytes| done.files.insert(name, (kind, bytes));
    keep("picture.png".into(), "image/png", png_of(&found.picture)?);
    for map in &found.maps {
        let name = map.method.name();
        keep(format!("{name}.png"), "image/png", png_of(&found.heat(map)?)?);
        let shape = map.values.shape;
        let array = Array::from_f32([shape.c, shape.h, shape.w], &map.values.to_nchw())?;
        let mut bytes = Vec::new();
        npy::write_to(&mut bytes, &array)?;
        keep(format!("{name}.npy"), "application/octet-stream", bytes);
    }
    Ok(done)
}
