//! Routes of the latent space: places, walks, sweeps.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Json, Router};
use ganscope::images::Image;
use ganscope::latents::DrawingRequest;
use ganscope::latents::plane::{COLUMNS, COMPONENTS, PlaceRequest, Plane};
use ganscope::latents::walk::{WalkRequest, walk};
use ganscope::model::{GeneratorInfo, TruncationKind};
use ganscope::score::sweep::{SweepRequest, sweep};
use ganscope::weights::npz;
use ganscope::{Error, Kind, Result, Watch};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::jobs::Done;
use crate::reply::{Failure, Reply, bytes, picture, png_of};
use crate::server::{Server, parsed};
use crate::work::begun;

/// Places that are drawn or wait for it at once; a page asks for one at a time.
const WAITING: usize = 8;

/// The generator that the pages wander in.
#[derive(Debug)]
pub(crate) struct Wandering {
    plane: Mutex<Option<Plane>>,
    free: Semaphore,
}

impl Default for Wandering {
    fn default() -> Self {
        Self { plane: Mutex::default(), free: Semaphore::new(WAITING) }
    }
}

impl Wandering {
    /// Does something with the plane of a drawing, away from the threads that serve.
    async fn with<T: Send + 'static>(
        server: Arc<Server>,
        drawing: DrawingRequest,
        work: impl FnOnce(&mut Plane) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        server.allowed.drawing(&drawing)?;
        let Ok(_permit) = server.wandering.free.try_acquire() else { return Err(Failure::Busy) };
        let server = server.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut plane = server.wandering.plane.lock().unwrap_or_else(PoisonError::into_inner);
            let is_open =
                plane.as_ref().is_some_and(|p| p.drawing().request().model == drawing.model);
            if !is_open {
                *plane = None;
            }
            let plane = match &mut *plane {
                Some(plane) => plane,
                closed => closed.insert(Plane::open(&drawing, &mut ())?),
            };
            work(plane)
        });
        let panicked = |_| Error::problem(Kind::Internal, "drawing ended in a panic");
        Ok(done.await.map_err(panicked)??)
    }
}

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/served", get(served))
        .route("/api/model", post(model))
        .route("/api/place", post(place))
        .route("/api/place/ws", post(ws))
        .route("/api/walk", post(begin_walk))
        .route("/api/sweep", post(begin_sweep))
}

/// What may be named.
async fn served(State(server): State<Arc<Server>>) -> Reply {
    Ok(Json(json!({
        "allowed": server.allowed,
        "columns": COLUMNS,
        "components": COMPONENTS,
        "ganscope": env!("CARGO_PKG_VERSION"),
    }))
    .into_response())
}

/// Sizes and classes of a generator.
async fn model(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let mut request: DrawingRequest = parsed(&body)?;
    // A conditional generator tells its classes only once it is open.
    server.allowed.drawing(&request)?;
    request.class = None;
    let opened = tokio::task::spawn_blocking(move || request.open_generator(&mut ()));
    let panicked = |_| Error::problem(Kind::Internal, "opening ended in a panic");
    let generator = opened.await.map_err(panicked)??;
    let GeneratorInfo { num_ws, w_dim, c_dim, img_resolution, truncation, .. } = generator.info();
    let truncation = match truncation {
        TruncationKind::Psi => "psi",
        TruncationKind::Threshold => "threshold",
    };
    Ok(Json(json!({
        "family": generator.family,
        "num_ws": num_ws,
        "w_dim": w_dim,
        "c_dim": c_dim,
        "resolution": img_resolution,
        "truncation": truncation,
        "classes": generator.classes,
    }))
    .into_response())
}

/// The picture at a place.
async fn place(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request: PlaceRequest = parsed(&body)?;
    let drawing = request.drawing.clone();
    picture(&Wandering::with(server, drawing, move |plane| plane.picture(&request, &mut ())).await?)
}

/// The style inputs at a place, as `generate` reads them.
async fn ws(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request: PlaceRequest = parsed(&body)?;
    let drawing = request.drawing.clone();
    let packed = move |plane: &mut Plane| -> Result<Vec<u8>> {
        let ws = plane.ws(&request, &mut ())?;
        let file = tempfile::NamedTempFile::new()?;
        npz::write(file.path(), [("w", &ws)])?;
        Ok(std::fs::read(file.path())?)
    };
    Ok(bytes("application/octet-stream", Wandering::with(server, drawing, packed).await?))
}

/// The picture at a place, for another task.
pub(crate) fn picture_of(place: &PlaceRequest, watch: &mut dyn Watch) -> Result<Image> {
    Plane::open(&place.drawing, watch)?.picture(place, watch)
}

async fn begin_walk(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request = server.allowed.walk(parsed::<WalkRequest>(&body)?)?;
    let job = server.jobs.submit(move |watch| {
        let found = walk(&request, watch)?;
        let mut done = Done { json: serde_json::to_value(&found)?, ..Done::default() };
        for (step, frames) in found.frames.iter().enumerate() {
            for (row, frame) in frames.iter().enumerate() {
                let name = format!("row{row}-step{step}.png");
                done.files.insert(name, ("image/png", png_of(frame)?));
            }
        }
        Ok(done)
    })?;
    Ok(begun(&job))
}

async fn begin_sweep(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request = server.allowed.sweep(parsed::<SweepRequest>(&body)?)?;
    let job = server.jobs.submit(move |watch| {
        let found = sweep(&request, watch)?;
        let mut done = Done { json: serde_json::to_value(&found)?, ..Done::default() };
        for (point, samples) in found.samples.iter().enumerate() {
            for (i, sample) in samples.iter().enumerate() {
                let name = format!("point{point}-sample{i}.png");
                done.files.insert(name, ("image/png", png_of(sample)?));
            }
        }
        Ok(done)
    })?;
    Ok(begun(&job))
}
