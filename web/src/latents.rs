//! Routes of the latent space: places, walks, sweeps.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Json, Router};
use ganscope::images::Image;
use ganscope::latents::DrawingRequest;
use ganscope::latents::directions::{DirectionMethod, DirectionSet};
use ganscope::latents::plane::{COLUMNS, COMPUTED, PlaceRequest, Plane, SAMPLES, SetRequest};
use ganscope::latents::walk::{WalkRequest, walk};
use ganscope::model::{GeneratorInfo, TruncationKind};
use ganscope::score::sweep::{SweepRequest, sweep};
use ganscope::weights::npz;
use ganscope::{Error, Result, Watch};
use serde_json::json;

use crate::jobs::Done;
use crate::reply::{Reply, bytes, picture, png_of};
use crate::server::{Server, parsed};
use crate::work::begun;

/// The generator that the pages wander in.
#[derive(Debug, Default)]
pub(crate) struct Wandering {
    plane: Mutex<Option<Plane>>,
}

impl Wandering {
    /// Does something with the plane of a drawing, which is opened if another one is open.
    fn on<T>(
        &self,
        drawing: &DrawingRequest,
        watch: &mut dyn Watch,
        work: impl FnOnce(&mut Plane, &mut dyn Watch) -> Result<T>,
    ) -> Result<T> {
        let mut plane = self.plane.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.stop() {
            return Err(Error::Cancelled);
        }
        let is_open = plane.as_ref().is_some_and(|p| p.drawing().request().model == drawing.model);
        if !is_open {
            *plane = None;
        }
        let plane = match &mut *plane {
            Some(plane) => plane,
            closed => closed.insert(Plane::open(drawing, watch)?),
        };
        work(plane, watch)
    }

    /// The picture at a place, for another task.
    pub(crate) fn picture(&self, place: &PlaceRequest, watch: &mut dyn Watch) -> Result<Image> {
        self.on(&place.drawing, watch, |plane, watch| plane.picture(place, watch))
    }

    /// The same beside the queue, if the drawing is allowed, until the visitor goes away.
    async fn with<T: Send + 'static>(
        server: Arc<Server>,
        drawing: DrawingRequest,
        work: impl FnOnce(&mut Plane, &mut dyn Watch) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        server.allowed.drawing(&drawing)?;
        let shared = server.clone();
        let drawn = move |watch: &mut dyn Watch| shared.wandering.on(&drawing, watch, work);
        server.aside.run_watched("drawing", drawn).await
    }
}

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/served", get(served))
        .route("/api/model", post(model))
        .route("/api/place", post(place))
        .route("/api/place/ws", post(ws))
        .route("/api/directions", post(directions))
        .route("/api/directions/file", post(directions_file))
        .route("/api/walk", post(begin_walk))
        .route("/api/sweep", post(begin_sweep))
}

/// What may be named.
async fn served(State(server): State<Arc<Server>>) -> Reply {
    Ok(Json(json!({
        "allowed": server.allowed,
        "columns": COLUMNS,
        "computed": COMPUTED.map(DirectionMethod::name),
        "samples": SAMPLES,
        "ganscope": env!("CARGO_PKG_VERSION"),
    }))
    .into_response())
}

/// Sizes and classes of a generator.
async fn model(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request: DrawingRequest = parsed(&body)?;
    // A conditional generator tells its classes only once it is open.
    let request = DrawingRequest { class: None, ..request };
    let about = |plane: &mut Plane, watch: &mut dyn Watch| {
        let preview = plane.preview(watch)?;
        let generator = &plane.drawing().generator;
        let resolutions = generator.style_resolutions();
        Ok((generator.family, generator.info(), generator.classes.clone(), resolutions, preview))
    };
    let (family, info, classes, resolutions, preview) =
        Wandering::with(server, request, about).await?;
    let GeneratorInfo { num_ws, w_dim, c_dim, img_resolution, truncation, .. } = info;
    let truncation = match truncation {
        TruncationKind::Psi => "psi",
        TruncationKind::Threshold => "threshold",
    };
    Ok(Json(json!({
        "family": family,
        "num_ws": num_ws,
        "style_resolutions": resolutions,
        "w_dim": w_dim,
        "c_dim": c_dim,
        "resolution": img_resolution,
        "preview": preview,
        "truncation": truncation,
        "classes": classes,
    }))
    .into_response())
}

/// The picture at a place.
async fn place(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request: PlaceRequest = parsed(&body)?;
    server.allowed.place(&request)?;
    let drawing = request.drawing.clone();
    picture(
        &Wandering::with(server, drawing, move |plane, watch| plane.picture(&request, watch))
            .await?,
    )
}

/// The style inputs at a place, as `generate` reads them.
async fn ws(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request: PlaceRequest = parsed(&body)?;
    server.allowed.place(&request)?;
    let drawing = request.drawing.clone();
    let packed = move |plane: &mut Plane, watch: &mut dyn Watch| -> Result<Vec<u8>> {
        let ws = plane.ws(&request, watch)?;
        Ok(npz::to_bytes([("w", &ws)])?)
    };
    Ok(bytes("application/octet-stream", Wandering::with(server, drawing, packed).await?))
}

/// Does something with a set of directions that is asked for.
async fn with_directions<T: Send + 'static>(
    server: Arc<Server>,
    body: &Bytes,
    work: impl FnOnce(&DirectionSet) -> Result<T> + Send + 'static,
) -> Reply<T> {
    let request: SetRequest = parsed(body)?;
    server.allowed.directions(&request.set)?;
    let drawing = request.drawing.clone();
    let found =
        move |plane: &mut Plane, watch: &mut dyn Watch| work(plane.directions(&request, watch)?);
    Wandering::with(server, drawing, found).await
}

/// Names and spreads of directions.
async fn directions(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let found = with_directions(server, &body, |set| Ok(serde_json::to_value(set)?));
    Ok(Json(found.await?).into_response())
}

/// Directions as `edit` reads them.
async fn directions_file(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let found = with_directions(server, &body, DirectionSet::to_bytes).await?;
    Ok(bytes("application/octet-stream", found))
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
